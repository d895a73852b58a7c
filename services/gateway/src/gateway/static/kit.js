// The kit of a run: which component holds the others up. A release opens its conditions, events and last log lines, asked
// of the replica that watches the cluster.

import { h, mark, row, table, bare, since } from "./dom.js";
import { call } from "./api.js";
import { graph } from "./graph.js";

const WORDS = { ready: "ready", installing: "installing", pending: "waiting", degraded: "degraded", failed: "failed" };

async function describe(place, sovereign, release) {
  place.replaceChildren(h("p", { class: "hint" }, "Asking the cluster."));
  try {
    const said = await call("GET", `/api/v1/sovereigns/${sovereign}/objects/HelmRelease/${release}`);
    const part = (title, lines) => (lines.length ? [h("h4", {}, title), h("pre", {}, lines.join("\n"))] : []);
    place.replaceChildren(...part("Conditions", said.conditions.map((c) => `${c.type}=${c.status} ${c.reason || ""} ${c.message || ""}`)),
      ...part("Events", said.events), ...part("Last log lines", said.log));
    if (!place.childElementCount) place.append(h("p", { class: "hint" }, "The cluster says nothing of it."));
  } catch (error) {
    if (!error.problem) throw error;
    place.replaceChildren(h("p", { class: "wrong" }, `${error.problem.detail} ${error.problem.next_step}`));
  }
}

function cell(release, blocking, { sovereign, past }) {
  const ready = release.state === "ready";
  const detail = h("div", {});
  const more = past ? null : h("details", { "data-key": release.release, ontoggle: (event) => { if (event.target.open && !detail.childElementCount) describe(detail, sovereign, release.release); } },
    h("summary", {}, "Conditions, events, log", h("span", { class: "unseen" }, ` of ${release.component}`)), detail);
  return h("div", { class: blocking.has(release.component) && !ready ? "blocking" : null },
    h("strong", {}, mark(release.state, release.component)), " ", h("span", { class: "dim" }, release.version.replace(/[+].*/, "")),
    h("p", { class: "hint" }, WORDS[release.state], release.blocked_by ? ` for ${bare(release.blocked_by)}` : "", ready ? "" : " · ",
      ready ? "" : h("time", { "data-since": past ? null : release.since }, since(release.since)), release.attempts > 1 ? ` · attempt ${release.attempts}` : ""),
    release.reason && !ready ? h("p", {}, `${release.reason}. ${release.message}`) : null,
    release.trouble ? h("p", {}, h("strong", {}, "What to do: "), release.trouble.next_step) : null, more);
}

const short = (revision) => revision.replace(/(sha1|sha256):([0-9a-f]{12})[0-9a-f]+/, "$1:$2…");

// Troubled ones first; when all is well it is folded.
function objects(rows) {
  const calm = rows.filter((one) => one.state === "ready");
  const sorted = [...rows.filter((one) => one.state !== "ready"), ...calm];
  return h("details", { "data-key": "flux", open: calm.length < rows.length }, h("summary", {}, `Sources and Kustomizations: ${calm.length} of ${rows.length} ready`),
    table("Sources and Kustomizations", ["Object", "State", "Said", "Revision"], sorted.map((one) => row(`${one.kind} ${one.name}`, mark(one.state, one.state),
      one.state === "ready" ? one.reason : [one.reason, one.message].filter(Boolean).join(": "), h("td", { class: "mono" }, short(one.revision))))));
}

export function kit(view, context) {
  if (!view.releases.length) return [h("h2", {}, "Releases"), h("p", { class: "hint" }, "The cluster has not told its releases yet.")];
  const blocking = new Set(view.releases.filter((r) => r.state !== "ready" && r.blocked_by).map((r) => bare(r.blocked_by)));
  const ready = view.releases.filter((r) => r.state === "ready").length;
  return [h("h2", {}, `Releases: ${ready} of ${view.releases.length} ready`),
    h("div", { class: "grid" }, view.releases.map((release) => cell(release, blocking, context))),
    h("h2", {}, "Who holds up whom"), graph(view.releases),
    view.flux.length ? objects(view.flux) : null];
}
