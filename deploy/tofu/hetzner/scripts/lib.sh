# shellcheck shell=bash
# What the boot script and its stages share: the settings, bounded repetition, and reports that survive an absent node door.

ROOT=${ROOT:-}
LOGS="$ROOT/var/log/catalyst"
STATE="$ROOT/var/lib/catalyst"
QUEUE="$STATE/reports"
REFUSED="$STATE/refused"
RUN="$ROOT/run/catalyst"
SECRETS="$ROOT/etc/catalyst/secrets"
PATH="$PATH:$ROOT/usr/local/bin:$ROOT/opt/catalyst/bin"
KUBECONFIG="$ROOT/etc/rancher/k3s/k3s.yaml"
export PATH KUBECONFIG LOGS

# shellcheck source=/dev/null
. "$ROOT/etc/catalyst/node.env"

# attempt COUNT PAUSE COMMAND...: until it succeeds, at most COUNT times, PAUSE seconds apart.
attempt() {
  local left=$1 pause=$2
  shift 2
  until "$@"; do
    left=$((left - 1))
    if [ "$left" -le 0 ]; then
      echo "Given up: $1 did not succeed in the attempts it had."
      return 1
    fi
    sleep "$pause"
  done
}

secret() { awk -v name="$1" '$1 == name { print $2 }' "$SECRETS"; }

# A file with the header, because an argument of curl would stand in the process list.
header() { printf 'Authorization: Bearer %s\n' "$(secret "$1")"; }

# What leaves the server: no secret of ours, no bearer token, printable characters only, lines of bounded length.
masked() {
  LC_ALL=C tr -cd '\11\12\40-\176' | awk -v secrets="$SECRETS" '
    BEGIN { while ((getline line < secrets) > 0) { split(line, part, " "); if (length(part[2]) > 5) known[part[2]] = 1 } }
    {
      for (value in known)
        while ((at = index($0, value)) > 0) $0 = substr($0, 1, at - 1) "[masked]" substr($0, at + length(value))
      gsub(/[Bb]earer [^ "]+/, "Bearer [masked]")
      gsub(/K10[0-9a-f]+::[^ "]+/, "[masked]")
      gsub(/eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+/, "[masked]")
      print substr($0, 1, 500)
    }'
}

# report STAGE STATE NUMBER [LOG]: put in the queue, then sent in the background; the boot never waits for the node door.
report() {
  local sequence entry lines=""
  sequence=$(($(cat "$STATE/sequence" 2>/dev/null || echo 0) + 1))
  echo "$sequence" >"$STATE/sequence"
  if [ "$#" -ge 4 ]; then
    lines=$(tail -n 50 "$4" | masked | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/\t/\\t/g' -e 's/.*/"&"/' | paste -sd, -)
  fi
  entry=$(printf '%s/%06d.json' "$QUEUE" "$sequence")
  printf '{"server":"%s","stage":"%s","state":"%s","number":%d,"sequence":%d,"at":"%s","log":[%s]}\n' \
    "$NODE_NAME" "$1" "$2" "$3" "$sequence" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$lines" >"$entry.new"
  mv "$entry.new" "$entry"
  deliver_all &
}

# One sender at a time, oldest report first: order is kept, and an absent door is asked again, for a bounded time.
deliver_all() {
  (
    flock -w 1800 9 || exit 0
    attempt 120 5 deliver_queue >/dev/null
  ) 9>"$STATE/sender.lock"
}

deliver_queue() {
  local entry
  for entry in "$QUEUE"/*.json; do
    [ -e "$entry" ] || return 0
    deliver "$entry" || return 1
  done
}

# Zero when the report is settled: accepted, or refused for good and put aside so that it cannot hold up the others.
deliver() {
  case $(door POST stages "$RUN/node.header" application/json "$1") in
    2??) rm -f "$1" ;;
    4?8 | 425 | 429 | 5?? | 000) return 1 ;;
    *) mv "$1" "$REFUSED/" ;;
  esac
}

# door METHOD PATH HEADER_FILE TYPE BODY_FILE: prints the status of the answer, 000 when there was none. Whoever calls it repeats.
door() {
  local ca=()
  if [ -s "$ROOT/etc/catalyst/node-door.pem" ]; then ca=(--cacert "$ROOT/etc/catalyst/node-door.pem"); fi
  curl --silent --output /dev/null --write-out '%{http_code}' --connect-timeout 5 --max-time 20 \
    "${ca[@]}" --request "$1" --header "@$3" --header "Content-Type: $4" \
    --data-binary "@$5" "$NODE_DOOR_URL/node/v1/sovereigns/$SOVEREIGN_ID/$2" || true
}
