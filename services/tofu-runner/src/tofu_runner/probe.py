"""What can be known of a cloud token before money is spent.

A look shows that the token reads. Whether it writes shows a request that cannot pass validation (a key without name
and body): with a read-only token the cloud refuses it for the token's sake, with a writing one for its content. It
never makes anything.
"""

from dataclasses import dataclass

from aiohttp import ClientError, ClientSession, ClientTimeout

from contracts.errors import Trouble, trouble
from tofu_runner.classify import trouble_of
from tofu_runner.masking import masked

TOKEN_LENGTH = 64
_OF_CONTENT = frozenset({"invalid_input", "json_error", "uniqueness_error"})
_TIMEOUT = ClientTimeout(total=12)
_ATTEMPTED = "check that the cloud token reads and writes"


@dataclass(frozen=True)
class Verdict:
    """What a token can do, and what is wrong with it."""

    reads: bool
    writes: bool
    trouble: Trouble | None = None


async def try_token(session: ClientSession, endpoint: str, token: str) -> Verdict:
    """Ask the cloud twice; nothing is made."""
    if len(token) != TOKEN_LENGTH or not token.isalnum():
        told = f"a Hetzner Cloud token has {TOKEN_LENGTH} letters and digits, this one has {len(token)} characters"
        return Verdict(
            reads=False,
            writes=False,
            trouble=trouble("unauthorized", attempted=_ATTEMPTED, on="the cloud token", message=told),
        )
    code, message = await _ask(session, "GET", f"{endpoint.rstrip('/')}/locations", token)
    if code:
        return Verdict(reads=False, writes=False, trouble=_trouble(code, message, token))
    code, message = await _ask(session, "POST", f"{endpoint.rstrip('/')}/ssh_keys", token)
    if code in _OF_CONTENT:
        return Verdict(reads=True, writes=True)
    if not code:
        code, message = "server_error", "the cloud took a key without name and body"
    return Verdict(reads=True, writes=False, trouble=_trouble(code, message, token))


def _trouble(code: str, message: str, token: str) -> Trouble:
    return trouble_of(code, masked(message, [token]), attempted=_ATTEMPTED, on="the cloud token", secrets=[token])


async def _ask(session: ClientSession, method: str, url: str, token: str) -> tuple[str, str]:
    """The error code and message of the answer; empty when it was none."""
    headers = {"Authorization": f"Bearer {token}"}
    body = {"name": "", "public_key": ""} if method == "POST" else None
    try:
        async with session.request(method, url, headers=headers, json=body, timeout=_TIMEOUT) as reply:
            if reply.status < 400:  # noqa: PLR2004 - where errors begin
                return "", ""
            answer = await reply.json(content_type=None)
            return str(answer["error"]["code"]), str(answer["error"]["message"])
    except (ClientError, TimeoutError):
        return "unavailable", "the cloud did not answer"
    except (ValueError, KeyError, TypeError):
        return "server_error", "the cloud answered without saying what is wrong"
