"""Whether mail can reach an address, as a real DNS server tells it."""

import pytest

from catalyst.stack.powerdns import PowerDns as Server
from dns_pdm.asking import Server as Resolver
from dns_pdm.mail import MailDomains
from dns_pdm.powerdns import NewZone, PowerDns
from dns_pdm.zones import RecordSet

ZONE = "example.org"
HELD: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "mail": [("MX", ("20 mx2.example.org.", "10 mx1.example.org."))],
    "none": [("MX", ("0 .",))],
    "host": [("A", ("192.0.2.7",))],
    "six": [("AAAA", ("2001:db8::7",))],
    "text": [("TXT", ('"nothing for mail"',))],
}


@pytest.fixture
async def mails(server: Server, api: PowerDns) -> MailDomains:
    soa = RecordSet(f"{ZONE}.", "SOA", 60, (f"ns.{ZONE}. hostmaster.{ZONE}. 0 10800 3600 604800 60",))
    held = [RecordSet(f"{name}.{ZONE}.", kind, 60, content) for name, sets in HELD.items() for kind, content in sets]
    await api.create(NewZone(ZONE, "mail", (soa, *held), signed=False, nsec3=""))
    return MailDomains((Resolver("local", server.address, server.dns_port),))


async def test_an_address_is_judged_by_what_dns_says_of_its_domain(mails: MailDomains) -> None:
    addresses = (*(f"admin@{name}.{ZONE}" for name in HELD), f"admin@nowhere.{ZONE}", "admin@elsewhere.example")
    said = {address: await mails.judge(address) for address in addresses}
    assert {address.split("@")[1].split(".")[0]: reply.verdict for address, reply in said.items()} == {
        "mail": "deliverable",
        "none": "undeliverable",
        "host": "deliverable",
        "six": "deliverable",
        "text": "undeliverable",
        "nowhere": "undeliverable",
        "elsewhere": "not-checked",
    }
    assert said[f"admin@mail.{ZONE}"].exchangers == ("mx1.example.org", "mx2.example.org")
    assert "null MX" in said[f"admin@none.{ZONE}"].reason
    assert "neither an MX record nor an address" in said[f"admin@text.{ZONE}"].reason
    assert "does not exist" in said[f"admin@nowhere.{ZONE}"].reason
    wrong = [reply.trouble for reply in said.values() if reply.verdict == "undeliverable"]
    assert {(why.code, why.owner) for why in wrong if why} == {("mail-undeliverable", "user")}
    assert all(wrong)


@pytest.mark.parametrize(
    "address", ["", "admin", "admin@", "@example.org", "a b@example.org", "a@b@", "a..b@example.org", "admin@-x.org"]
)
async def test_what_is_no_address_is_said_without_asking_anybody(address: str) -> None:
    reply = await MailDomains().judge(address)
    assert reply.verdict == "invalid"
    assert reply.trouble is not None


@pytest.mark.parametrize(
    ("domain", "asked"), [("bücher.example", "xn--bcher-kva.example"), ("straße.example", "xn--strae-oqa.example")]
)
async def test_a_name_in_other_letters_is_asked_for_as_dns_knows_it(domain: str, asked: str) -> None:
    reply = await MailDomains().judge(f"admin@{domain}")
    assert (reply.domain, reply.verdict) == (asked, "not-checked")
