"""What a scenario has in hand: a stack, an outsider who publishes, a reader of the stream, the sandbox's ledger.

A scenario asks for a Sovereign as anybody outside would (the bare subject), follows the facts, and checks what it
promised to show. A check that fails is an ``OutcomeWrong`` with a sentence.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from bus import Bus, connect, seal
from bus.codec import Unreadable, decode
from bus.seal import load_public_keys
from catalyst.screen import Screen
from catalyst.stack.stack import POOL_DOMAIN, Stack, cloud_token
from contracts.catalogue import DECOMMISSION, Question
from contracts.event import Event, Fact
from contracts.history import History
from contracts.identity import sovereign_id
from contracts.questions import Asker, Decommission, OfSovereign
from contracts.topology import DOOR

OWNER = "demo"
_LABEL: Final = "catalyst-zero/sovereign"
_ROLES: Final = ("operator", "approver")


class OutcomeWrong(AssertionError):
    """The scenario did not end as it promised."""


@dataclass
class Play:
    """One scenario being played on a stack."""

    stack: Stack
    operator: Bus
    publisher: Bus
    tell: Callable[[str], None]
    project: str
    """The cloud project in which it plays: its troubles are nobody else's."""
    token: str
    """A token that writes there."""
    screen: Screen | None = None
    """Where facts are drawn; without one nothing is."""
    requested: list[str] = field(default_factory=list)
    ssh_public_key: str = ""

    def name(self, label: str) -> str:
        """A pool name of this scenario's own."""
        return f"{label}.{POOL_DOMAIN}"

    def body(self, fqdn: str, *, token: str | None = None, **changes: Any) -> dict[str, Any]:
        """A request for a Sovereign: one control plane, one worker, its cloud token sealed to tofu-runner."""
        key = load_public_keys(self.stack.nats.keys / "public", "tofu-runner")[0]
        secret = seal(
            (token or self.token).encode(),
            to=key,
            reader="tofu-runner",
            purpose="cloud-token",
            bound_to=sovereign_id(fqdn),
        )
        body: dict[str, Any] = {
            "organisation": {"name": "Omantel", "industry": "Telecommunications", "headquarters": "Muscat"},
            "topology": {"region": "fsn1", "control_plane_count": 1, "worker_count": 1},
            "domain": {"mode": "pool", "fqdn": fqdn},
            "ssh_public_key": self.ssh_public_key,
            "admin_email": "sovereign-admin@example.org",
            "secrets": [secret.model_dump(mode="json")],
        }
        return body | changes

    async def request(self, fqdn: str, *, show: bool = False, **changes: Any) -> str:
        """Publish a request to the bare subject, exactly as an outsider would; the Sovereign's id."""
        body = self.body(fqdn, **changes)
        sovereign = sovereign_id(fqdn)
        file = self.stack.directory / f"request-{sovereign}.json"
        await asyncio.to_thread(file.write_text, json.dumps(body, indent=2) + "\n")
        if show:
            self.tell(await asyncio.to_thread(file.read_text))
            self.tell("the same, by hand:")
            self.tell(f"  {self.nats_command('publisher')} pub {DOOR} <{shown(file)}")
        await self.publisher.connection.client.request(DOOR, json.dumps(body).encode(), timeout=5)
        self.requested.append(sovereign)
        return sovereign

    def nats_command(self, user: str) -> str:
        """The nats CLI with this stack's address and a user's key."""
        return f"nats --server {self.stack.nats.url} --nkey {shown(self.stack.nats.keys / f'{user}.nk')}"

    async def until(self, sovereign: str, *facts: type[Fact], seconds: float = 300, after: int = 0) -> Event[Any]:
        """Follow a Sovereign until one of these facts is said after a sequence; OutcomeWrong when none comes."""
        last = "nothing"
        try:
            async with asyncio.timeout(seconds):
                async for item in self.operator.feed(after=after):
                    if not item.subject.endswith(f".{sovereign}"):
                        continue
                    try:
                        event = decode(item.subject, item.raw)
                    except Unreadable:
                        continue
                    last = event.type
                    if self.screen is not None:
                        self.screen.take(item.sequence, event)
                    if isinstance(event.data, facts):
                        return event
        except TimeoutError:
            names = " or ".join(fact.fact for fact in facts)
            raise OutcomeWrong(f"{sovereign}: no {names} within {seconds:g} s; the last fact was {last}") from None
        raise OutcomeWrong(f"{sovereign}: the feed ended after {last}")

    async def decommission(self, fqdn: str) -> None:
        """Ask for everything to be taken away; brings the cloud token, as one must after hand-off."""
        secrets = self.body(fqdn)["secrets"]
        command = Decommission(sovereign=sovereign_id(fqdn), confirm=fqdn, secrets=secrets, reason="the demo is over")
        await self.command(DECOMMISSION, command)

    async def command(self, question: Question, command: OfSovereign) -> None:
        """Give a command as the demo's operator."""
        await self.operator.ask(question, command, asker=Asker(actor="demo", owner=OWNER, roles=_ROLES))

    async def history(self, sovereign: str) -> History:
        """Everything that was said of a Sovereign."""
        return await self.operator.journal.history(sovereign)

    def check(self, holds: object, sentence: str) -> None:
        """Say what was seen to hold; OutcomeWrong when it does not."""
        if not holds:
            raise OutcomeWrong(f"not so: {sentence}")
        self.tell(f"  ✓ {sentence}")

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the sandbox's control API."""
        return await self._answered(method, f"{self.stack.sandbox_control}{path}", body=body)

    async def _answered(
        self, method: str, url: str, query: dict[str, str] | None = None, *, body: Any = None, token: str = ""
    ) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        timeout = aiohttp.ClientTimeout(total=10)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.request(method, url, params=query, json=body) as answer,
        ):
            text = await answer.text()
            if not answer.ok:
                raise OutcomeWrong(f"the sandbox refused {method} {url}: {answer.status} {text}")
            return json.loads(text) if text else None

    async def inventory(self, sovereign: str) -> list[str]:
        """What the simulated cloud holds of a Sovereign: ``kind/name`` of everything labelled with it."""
        found = await self.control("GET", f"/inventory?project={self.project}")
        tables: dict[str, list[dict[str, Any]]] = found["projects"].get(self.project, {})
        return sorted(
            f"{kind}/{row['name']}"
            for kind, rows in tables.items()
            for row in rows
            if (row.get("labels") or {}).get(_LABEL) == sovereign
        )

    async def resources(self, sovereign: str, kind: str) -> list[dict[str, Any]]:
        """A Sovereign's resources of one kind, as the cloud's own API shows them to the customer's token."""
        url = f"{self.stack.cloud_endpoint}/{kind}"
        found = await self._answered("GET", url, {"label_selector": f"{_LABEL}={sovereign}"}, token=self.token)
        rows: list[dict[str, Any]] = found[kind]
        return rows

    async def new_token(self, access: str = "read_write") -> str:
        """Another token of this play's project."""
        token = cloud_token()
        await self.control("POST", "/tokens", {"token": token, "project": self.project, "access": access})
        return token

    async def made_once(self) -> None:
        """Check that of everything which the project ever got, nothing was made twice and nothing went."""
        rows = (await self.control("GET", f"/ledger?project={self.project}&totals=only"))["resources"]
        again = [f"{kind} {row}" for kind, row in rows.items() if row["deleted"]]
        alive = sum(row["alive"] for row in rows.values())
        self.check(rows and not again, f"each of {alive} resources was made once{''.join(f'; {row}' for row in again)}")

    async def ledger(self) -> list[dict[str, Any]]:
        """Every call that the simulated cloud answered in this project."""
        found = await self.control("GET", f"/ledger?project={self.project}&limit=100000")
        lines: list[dict[str, Any]] = found["lines"]
        return lines


@asynccontextmanager
async def playing(
    stack: Stack, tell: Callable[[str], None], screen: Screen | None = None, *, project: str = "demo"
) -> AsyncIterator[Play]:
    """A play on a running stack, in a cloud project that is this play's own when it is named."""
    async with (
        connect(stack.nats.settings("cli"), "cli") as operator,
        connect(stack.nats.settings("publisher"), "publisher") as publisher,
    ):
        play = Play(stack, operator, publisher, tell, project, stack.token, screen, ssh_public_key=new_ssh_key())
        if project != "demo":
            play.token = await play.new_token()
        yield play


def new_ssh_key() -> str:
    """A public key as ssh-keygen writes it: nobody keeps its private half."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    public = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return f"{public.decode()} sovereign-admin@demo"


def shown(path: Path) -> str:
    """A path as one types it: relative to where one stands, where that is shorter."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
