"""The scenarios of the name: a customer's own domain, two owners who want one name, a DNS server that dies."""

import asyncio
from typing import Final

from bus import Answer
from catalyst.demo.play import OutcomeWrong, Play
from catalyst.demo.scenarios.scenario import Scenario, ready
from catalyst.stack.registry import CUSTOMER_ZONE
from contracts.catalogue import NAME, SUBMIT
from contracts.dns import DnsAwaitingDelegation, DnsDelegated, DnsPublished, DnsReserved
from contracts.identity import sovereign_id
from contracts.questions import Accepted, Asker, Name, Submit
from contracts.sovereign import SovereignHandedOver
from contracts.tofu import TofuApplied

_RIVALS: Final = ("acme", "globex")


async def byo_manual(play: Play) -> None:
    """A customer's own domain: told what to paste, half of it pasted, then all of it."""
    fqdn, registry = f"bank.{CUSTOMER_ZONE}", play.stack.registry
    if registry is None:
        raise OutcomeWrong("the stack has no registry")
    sovereign = await play.request(fqdn, show=True, domain={"mode": "byo-manual", "fqdn": fqdn})
    first = await play.until(sovereign, DnsAwaitingDelegation)
    asked: DnsAwaitingDelegation = first.data
    ds = tuple(f"{one.key_tag} {one.algorithm} {one.digest_type} {one.digest}" for one in asked.ds)
    play.tell(f"  to paste at the registrar: NS {', '.join(asked.nameservers)}; DS {'; '.join(ds)}")
    play.check(_parent_says(asked) == {"does not delegate the zone"}, "the parent's servers do not know the zone yet")
    await registry.delegate(fqdn, asked.nameservers[:1])
    play.tell(f"  the customer pastes {asked.nameservers[0]} alone")
    half = await _until_parent_says(play, sovereign, f"lacks {asked.nameservers[1]}")
    play.check(half.cached_for_s > 0, f"what stands there may be cached for {half.cached_for_s} s")
    await registry.delegate(fqdn, asked.nameservers, ds)
    play.tell("  the customer pastes the rest")
    delegated = await play.until(sovereign, DnsDelegated)
    tags = {tag for said in delegated.data.servers for tag in said.ds_key_tags}
    play.check(tags == {one.key_tag for one in asked.ds}, f"parent and child agree, DS {', '.join(map(str, tags))} too")
    await ready(play, sovereign)


def _parent_says(waiting: DnsAwaitingDelegation) -> set[str]:
    return {said.said for said in waiting.servers if said.side == "parent"}


async def _until_parent_says(play: Play, sovereign: str, said: str) -> DnsAwaitingDelegation:
    """Follow the checks until every server of the parent says this."""
    after = 0
    while True:
        event = await play.until(sovereign, DnsAwaitingDelegation, DnsDelegated, after=after)
        if isinstance(event.data, DnsDelegated):
            raise OutcomeWrong(f"{sovereign}: delegated before any check saw that the parent {said}")
        if _parent_says(event.data) == {said}:
            play.check(True, f"each of the parent's servers {said}, and that is what is shown")  # noqa: FBT003
            waiting: DnsAwaitingDelegation = event.data
            return waiting
        found = (await play.history(sovereign)).recorded
        after = next(item.sequence for item in found if item.event.id == event.id)


async def name_taken(play: Play) -> None:
    """Two owners ask for one name at once: one gets it, the other is told so and nothing of theirs is touched."""
    fqdn = play.name("wanted")
    sovereign = sovereign_id(fqdn)
    play.tell(f"{' and '.join(_RIVALS)} ask for {fqdn} in the same moment")
    body = play.body(fqdn)
    async with asyncio.TaskGroup() as group:
        asked = {owner: group.create_task(_submit(play, owner, body)) for owner in _RIVALS}
    outcomes = {owner: task.result() for owner, task in asked.items()}
    [winner] = [owner for owner, outcome in outcomes.items() if isinstance(outcome, Accepted)]
    [loser] = [owner for owner in _RIVALS if owner != winner]
    play.requested.append(sovereign)
    refusal = outcomes[loser]
    code = refusal.trouble.code if isinstance(refusal, Answer) else ""
    play.check(code == "fqdn-taken", f"{winner} has it; {loser} is told fqdn-taken")
    for owner, word in ((winner, "it is your Sovereign"), (loser, "another owner holds it")):
        reply = await play.operator.ask(NAME, Name(fqdn=fqdn), asker=Asker(actor=owner, owner=owner))
        play.check(reply.verdict == "taken" and word in reply.reason, f"{owner} asks for the name: {reply.reason}")
    history = await ready(play, sovereign)
    play.check({item.event.owner for item in history.recorded} == {winner}, f"every fact of it is {winner}'s")


async def _submit(play: Play, owner: str, body: dict[str, object]) -> Accepted | Answer:
    request = Submit.model_validate({"body": body})
    try:
        reply = await play.operator.ask(SUBMIT, request, asker=Asker(actor=owner, owner=owner, roles=("operator",)))
    except Answer as refusal:
        return refusal
    return Accepted.model_validate(reply.model_dump())


async def dns_down(play: Play) -> None:
    """The DNS server dies between reserve and publish, and comes back: the records are written then."""
    powerdns = play.stack.powerdns
    if powerdns is None:
        raise OutcomeWrong("the stack has no PowerDNS")
    sovereign = await play.request(play.name("downed"))
    await play.until(sovereign, DnsReserved)
    await powerdns.kill()
    play.tell("  ✕ dns.reserved: kill -9 PowerDNS")
    await play.until(sovereign, TofuApplied)
    play.check((await play.history(sovereign)).last(DnsPublished) is None, "the cloud is there, the records wait")
    await powerdns.start()
    play.tell("  PowerDNS is back")
    history = await ready(play, sovereign)
    written = [item for item in history.recorded if isinstance(item.event.data, DnsPublished)]
    play.check(len(written) >= 1, "the records were written and read back")
    await play.until(sovereign, SovereignHandedOver)


NAMING: Final = (
    Scenario(
        "byo-manual", "a customer's own domain: half of the delegation pasted, then all", byo_manual, "bank",
        CUSTOMER_ZONE,
    ),
    Scenario("name-taken", "two owners ask for one name in the same moment", name_taken, "wanted"),
    Scenario(
        "dns-down", "PowerDNS is killed between reserve and publish; the run still ends ready", dns_down, "downed",
        disturbs=True,
    ),
)  # fmt: skip
