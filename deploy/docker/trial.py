"""`make test-compose`: build the containers, run them with the sandbox to `ready`, scale one, take all of it away.

Where there is no engine it says what is missing, and ends with 2.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / ".run" / "compose"
FQDN = "compose.omani.works"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKx0yT6ZHzmYqNPbzkAdEWDHqgVqZdYVOkOJ0n2PpQ2M admin@example.org"
UP_S, READY_S, EVERY_S = 180.0, 300.0, 2.0


def missing(what: str) -> NoReturn:
    """One line, and no traceback."""
    sys.stderr.write(f"test-compose: {what}\n")
    sys.exit(2)


def compose_program() -> list[str]:
    """Whichever compose there is."""
    for words in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(words[0])
            and subprocess.run([*words, "version"], capture_output=True, check=False).returncode == 0
        ):
            return words
    missing("neither docker compose nor docker-compose is here (Debian: apt-get install docker.io docker-compose)")


def told(words: Sequence[str], **more: str) -> subprocess.CompletedProcess[str]:
    """Run quietly; what it said."""
    return subprocess.run(words, cwd=ROOT, env=os.environ | more, capture_output=True, text=True, check=False)


def main() -> None:
    """Ends with 0 when a Sovereign became ready."""
    program = compose_program()
    if (answer := told(["docker", "version"])).returncode != 0:
        missing(f"no engine answers: {answer.stderr.strip().splitlines()[-1]}")
    subprocess.run([sys.executable, "deploy/docker/prepare.py"], cwd=ROOT, check=True)
    compose = [*program, "--env-file", ".run/compose/user.env", "--profile", "sandbox"]
    try:
        subprocess.run([*compose, "up", "--build", "--detach"], cwd=ROOT, check=True)
        provision()
        subprocess.run([*compose, "up", "--detach", "--scale", "tofu-runner=3"], cwd=ROOT, check=True)
        until("three tofu-runners", UP_S, lambda: told([*compose, "ps", "-q", "tofu-runner"]).stdout.count("\n") == 3)  # noqa: PLR2004
    except BaseException:
        print(told([*compose, "logs", "--no-color", "--tail", "40"]).stdout)
        raise
    finally:
        subprocess.run([*compose, "down", "--volumes", "--timeout", "40"], cwd=ROOT, check=False)
    print(f"{FQDN} became ready in containers; tofu-runner was scaled to 3")


def provision() -> None:
    """Ask as an operator does, through the gateway's published port, and watch to the end."""
    catalyst = [sys.executable, "-m", "catalyst"]
    who = {"CATALYST_API_TOKEN_FILE": str(COMPOSE / "api-token")}
    (COMPOSE / "admin.pub").write_text(KEY + "\n")
    (COMPOSE / "cloud-token").write_text(json.loads((COMPOSE / "secrets" / "tokens.json").read_text())[0]["token"])
    (COMPOSE / "cloud-token").chmod(0o600)
    until("the gateway", UP_S, lambda: told([*catalyst, "list"], **who).returncode == 0)
    request = ["request", "--fqdn", FQDN, "--organisation", "Compose", "--email", "admin@example.org"]
    request += ["--region", "fsn1", "--workers", "1", "--ssh-key", str(COMPOSE / "admin.pub")]
    request += ["--token-file", str(COMPOSE / "cloud-token"), "--watch"]
    subprocess.run([*catalyst, *request], cwd=ROOT, env=os.environ | who, check=True, timeout=READY_S)


def until(what: str, seconds: float, holds: Callable[[], bool]) -> None:
    """Wait, under a bound."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"test-compose: {what} did not come up within {seconds:g} s")
        time.sleep(EVERY_S)  # noqa: TID251 - a script of its own without an event loop


if __name__ == "__main__":
    main()
