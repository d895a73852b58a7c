"""What the person who started a stack needs to use it: an account, a login link, an API token, a file to source."""

import shlex
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

from catalyst.accounts import AccountsFolder, login_url
from catalyst.stack.stack import Stack, private_file
from catalyst.stack.tools import CHECKOUT
from contracts.account import AccountRole

TOKEN_FILE: Final = "api-token"  # noqa: S105 - a file's name
CLOUD_TOKEN_FILE: Final = "cloud-token"  # noqa: S105 - a file's name
ENVIRONMENT_FILE: Final = "env"
_ROLES: Final[tuple[AccountRole, ...]] = ("viewer", "operator", "approver", "admin")


def admit(stack: Stack, name: str, *, owner: str) -> str:
    """Make the account, an API token of it and the file ``env``; the link that logs in once."""
    folder = AccountsFolder(stack.accounts_dir)
    folder.put(name, owner=owner, roles=_ROLES)
    if not (stack.directory / TOKEN_FILE).exists():
        private_file(stack.directory / TOKEN_FILE, folder.token(name, label="of whoever started this") + "\n")
    private_file(stack.directory / ENVIRONMENT_FILE, _environment(stack))
    return login_url(stack.console_url, folder.link(name, lasts=timedelta(hours=1)))


def _environment(stack: Stack) -> str:
    """``. <directory>/env`` in a shell, and both nats and catalyst speak with this stack."""
    keys = stack.nats.keys
    variables = {
        "NATS_URL": stack.nats.url,
        "NATS_NKEY": str(keys / "cli.nk"),
        "CATALYST_URL": stack.console_url,
        "CATALYST_API_TOKEN_FILE": str(stack.directory / TOKEN_FILE),
        "CATALYST_ACCOUNTS_DIR": str(stack.accounts_dir),
        "CATALYST_KEYS_DIR": str(keys),
        "CATALYST_NATS_URL": stack.nats.url,
        "CATALYST_STATE": str(stack.directory),
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    programs = shlex.quote(str(Path(sys.executable).parent))
    tools = shlex.quote(str(CHECKOUT / "deploy" / "tools" / "tools.py"))
    lines += [
        f"export PATH={programs}:$PATH",
        f'command -v nats >/dev/null || export PATH="$PATH:$(dirname "$(python3 {tools} path nats)")"',
    ]
    return "\n".join(lines) + "\n"
