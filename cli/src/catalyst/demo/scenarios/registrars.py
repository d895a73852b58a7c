"""The scenarios of a customer's domain at a registrar: delegated by its API, or refused there.

The registrars are simulated, from what their vendors publish; the registry that follows them is a real name server.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from bus import seal
from bus.seal import load_public_keys
from catalyst.demo.play import OutcomeWrong, Play
from catalyst.demo.scenarios.scenario import ENDS, Scenario, ready
from catalyst.stack.registry import CUSTOMER_ZONE
from contracts.catalogue import DECOMMISSION
from contracts.dns import DnsFlipped, DnsReleased, DnsReserved
from contracts.identity import sovereign_id
from contracts.questions import Decommission
from contracts.sovereign import SovereignDecommissioned, SovereignFailed, SovereignHandedOver

_FORMER: Final = ("ns1.former-host.example", "ns2.former-host.example")
_FOLLOWS_S: Final = 0.5
"""How soon the registry shows what a registrar holds."""
_CREDENTIALS: Final = {
    "namecheap": ("api_user", "api_key", "client_ip"),
    "godaddy": ("key", "secret"),
    "ovh": ("application_key", "application_secret", "consumer_key"),
    "dynadot": ("api_key", "api_secret"),
    "cloudflare": ("api_token",),
}
_TAKES_DS: Final = {"ovh", "dynadot", "cloudflare"}


@dataclass(frozen=True)
class _Customer:
    """A domain, delegated to somebody else, in an account at a simulated registrar."""

    play: Play
    registrar: str
    fqdn: str

    @property
    def credentials(self) -> dict[str, str]:
        return {part: f"demo-{part}" for part in _CREDENTIALS[self.registrar]}

    async def open(self, **changes: Any) -> None:
        """Open the account."""
        domains = {self.fqdn: {"nameservers": _FORMER}}
        body = {"credentials": self.credentials, "domains": domains, **changes}
        await self.play.control("PUT", f"/registrars/{self.registrar}", body)

    async def account(self) -> dict[str, Any]:
        """What the registrar holds, and how often it was written to."""
        found: dict[str, Any] = await self.play.control("GET", f"/registrars/{self.registrar}")
        return found

    def secrets(self, **parts: str) -> list[dict[str, Any]]:
        """The cloud token, and the registrar's credentials sealed to dns-pdm."""
        token = seal(
            json.dumps(self.credentials | parts).encode(),
            to=load_public_keys(self.play.stack.nats.keys / "public", "dns-pdm")[0],
            reader="dns-pdm",
            purpose="registrar-token",
            bound_to=sovereign_id(self.fqdn),
        )
        return [*self.play.body(self.fqdn)["secrets"], token.model_dump(mode="json")]

    async def request(self, **parts: str) -> str:
        """Ask for a small Sovereign on the domain, with credentials that differ in these parts."""
        domain = {"mode": "byo-api", "fqdn": self.fqdn, "registrar": self.registrar}
        topology = {"region": "fsn1", "control_plane_count": 1, "control_plane_type": "cpx32", "worker_count": 0}
        return await self.play.request(self.fqdn, domain=domain, topology=topology, secrets=self.secrets(**parts))

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """The registry shows what the registrar holds, for as long as the block lasts."""
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self._follow())
            yield
            following.cancel()

    async def _follow(self) -> None:
        registry, shown = self.play.stack.registry, None
        if registry is None:
            raise OutcomeWrong("the stack has no registry")
        while True:
            held = (await self.account())["domains"][self.fqdn]
            ds = tuple("{key_tag} {algorithm} {digest_type} {digest}".format(**one) for one in held["ds"])
            names = tuple(name.lower() for name in held["nameservers"])
            if (names, ds) != shown:
                await registry.delegate(self.fqdn, names, ds)
                self.play.tell(
                    f"  the registry: {self.fqdn} NS {', '.join(names)}{'; DS ' if ds else ''}{'; '.join(ds)}"
                )
                shown = (names, ds)
            await asyncio.sleep(_FOLLOWS_S)


async def byo_api(play: Play, *, registrar: str, leaving: bool = False) -> None:
    """A domain is delegated by its registrar's API: what stood there is read first, and put back in the end."""
    customer = _Customer(play, registrar, f"{registrar}.{CUSTOMER_ZONE}")
    await customer.open()
    async with customer.followed():
        sovereign = await customer.request()
        reserved = await play.until(sovereign, DnsReserved)
        held = reserved.data.registrar
        play.check(held and set(held.nameservers) == set(_FORMER), f"read first: {registrar} has {', '.join(_FORMER)}")
        flipped = (await play.until(sovereign, DnsFlipped)).data
        play.check(set(flipped.before) == set(_FORMER), f"{registrar} changed to {', '.join(flipped.after)}")
        signed = registrar in _TAKES_DS
        if signed:
            recorded = (await play.history(sovereign)).recorded
            first = next(item.sequence for item in recorded if isinstance(item.event.data, DnsFlipped))
            end = await play.until(sovereign, DnsFlipped, SovereignHandedOver, after=first)
            signed = isinstance(end.data, DnsFlipped)
            if not signed:
                play.tell(
                    "  handed over before our DS was due: the credentials are erased, the DS is the owner's to paste"
                )
        there = (await customer.account())["domains"][customer.fqdn]
        tags = {one["key_tag"] for one in there["ds"]}
        wanted = {one.key_tag for one in reserved.data.ds} if signed else set()
        play.check(tags == wanted, f"DS at {registrar}: {', '.join(map(str, tags)) or 'none'}")
        await ready(play, sovereign)
        if leaving:
            await _leave(customer, sovereign, signed=signed)


async def _leave(customer: _Customer, sovereign: str, *, signed: bool) -> None:
    """A decommission that is asked to put back what stood at the registrar: seen there, and by asking the servers."""
    play, fqdn, registry = customer.play, customer.fqdn, customer.play.stack.registry
    await play.until(sovereign, SovereignHandedOver)
    if registry is None or play.stack.powerdns is None:
        raise OutcomeWrong("the stack has no name servers")
    named, ds = await registry.says(fqdn)
    ours = named.isdisjoint(_FORMER) and bool(ds) == signed
    play.check(ours, f"the registry's server: {', '.join(sorted(named))}, and {'our DS' if signed else 'no DS'}")
    command = {"sovereign": sovereign, "confirm": fqdn, "secrets": customer.secrets(), "restore_nameservers": True}
    await play.command(DECOMMISSION, Decommission.model_validate(command))
    await play.until(sovereign, SovereignDecommissioned)
    released = (await play.history(sovereign)).data(DnsReleased)
    play.check(released and set(released.restored) == set(_FORMER), f"put back: {', '.join(_FORMER)}")
    held = (await customer.account())["domains"][fqdn]
    play.check({name.lower() for name in held["nameservers"]} == set(_FORMER), f"{customer.registrar} holds them again")
    named, ds = await registry.says(fqdn)
    play.check(named == set(_FORMER) and not ds, "the registry's server names them, and has no DS of ours")
    play.check(not await play.stack.powerdns.serves(fqdn), "our own servers serve the zone no more")
    play.check(not await play.inventory(sovereign), "the cloud holds nothing any more")


async def registrar_refuses(play: Play) -> None:
    """Credentials that the registrar does not accept, and a caller that it does not know: nothing is made."""
    wrong = _Customer(play, "godaddy", f"wrong-key.{CUSTOMER_ZONE}")
    await wrong.open()
    await _refused(wrong, "registrar-unauthorized", key="of-somebody-else")
    unlisted = _Customer(play, "namecheap", f"unlisted.{CUSTOMER_ZONE}")
    await unlisted.open(caller_allowed=False)
    await _refused(unlisted, "registrar-caller-refused")


async def _refused(customer: _Customer, code: str, **parts: str) -> None:
    play = customer.play
    sovereign = await customer.request(**parts)
    end = await play.until(sovereign, *ENDS)
    play.check(isinstance(end.data, SovereignFailed), "the run failed")
    trouble = end.data.trouble
    play.check((trouble.code, trouble.owner) == (code, "user"), f"{code}: {trouble.message}")
    play.tell(f"  next step: {trouble.next_step}")
    play.check((await customer.account())["writes"] == 0, f"nothing was changed at {customer.registrar}")
    play.check(not await play.inventory(sovereign), "nothing was created in the cloud")


def _by(registrar: str) -> Scenario:
    shows = f"a customer's domain is delegated by the API of {registrar} (simulated)"
    return Scenario(f"byo-api-{registrar}", shows, partial(byo_api, registrar=registrar), registrar, CUSTOMER_ZONE)


REGISTRARS: Final = (
    Scenario(
        "byo-api", "a customer's domain delegated by its registrar's API (simulated), and given back in the end",
        partial(byo_api, registrar="dynadot", leaving=True), "dynadot", CUSTOMER_ZONE,
    ),
    *(_by(registrar) for registrar in ("namecheap", "godaddy", "ovh", "cloudflare")),
    Scenario(
        "registrar-refuses", "a wrong key and an address that is not allow-listed, refused before anything is made",
        registrar_refuses, "wrong-key", CUSTOMER_ZONE,
    ),
)  # fmt: skip
