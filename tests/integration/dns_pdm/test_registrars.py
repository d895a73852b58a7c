"""One suite over all registrar adapters: real HTTP to simulated registrars that answer as the vendors publish."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import dns.dnssec
import dns.rdata
import pytest
from aiohttp import web

from contracts.dns import Delegation, DsRecord
from dns_pdm.registrars import ADAPTERS
from dns_pdm.registrars.port import Registrar, RegistrarBusy, RegistrarRefused, Registrars
from sandbox.registrars import Account, Domain
from sandbox.registrars import Registrars as Simulated

OLD: Final = ("ns1.old.example", "ns2.old.example")
OURS: Final = ("ns1.omani.works", "ns2.omani.works")
WITH_DS: Final = {"ovh", "dynadot", "cloudflare"}
WITH_DEFAULT: Final = {"namecheap", "ovh"}


def ds_of(fqdn: str, dnskey: str) -> DsRecord:
    """The DS of a key, computed by dnspython."""
    key = dns.rdata.from_text("IN", "DNSKEY", dnskey)
    made = dns.dnssec.make_ds(f"{fqdn}.", key, "SHA256")
    return DsRecord(
        key_tag=made.key_tag, algorithm=made.algorithm, digest_type=2, digest=made.digest.hex(), dnskey=dnskey
    )


def at(*registrars: str) -> pytest.MarkDecorator:
    """What is so at these registrars only."""
    return pytest.mark.parametrize("customer", registrars, indirect=True)


@dataclass
class Customer:
    """A customer's account at one simulated registrar, and dns-pdm's way to it."""

    registrar: str
    account: Account
    root: str
    fqdn: str = field(init=False)

    def __post_init__(self) -> None:
        self.fqdn = "sovereign.shop.example" if self.registrar == "cloudflare" else "shop.example"
        self.account.domains[self.fqdn] = Domain(nameservers=list(OLD))

    @property
    def our_ds(self) -> DsRecord:
        return ds_of(self.fqdn, f"257 3 13 {base64.b64encode(bytes(range(64))).decode()}")

    @property
    def their_ds(self) -> DsRecord:
        return ds_of(self.fqdn, f"257 3 8 {base64.b64encode(bytes(range(130))).decode()}")

    @property
    def domain(self) -> Domain:
        return self.account.domains[self.fqdn]

    def open(self, **parts: str) -> AbstractAsyncContextManager[Registrar]:
        token = json.dumps({**self.account.credentials, **parts}).encode()
        return Registrars(ADAPTERS, {self.registrar: self.root}).open(self.registrar, token)

    async def refuse(self, fqdn: str | None = None, **parts: str) -> str:
        """The code with which a read-only validation fails; nothing was changed."""
        writes = self.account.writes
        with pytest.raises((RegistrarRefused, RegistrarBusy)) as refused:
            async with self.open(**parts) as account:
                await account.validate(fqdn or self.fqdn)
        assert self.account.writes == writes
        assert isinstance(refused.value, RegistrarRefused | RegistrarBusy)
        told = refused.value.trouble("validate", self.fqdn)
        assert told.next_step
        assert self.registrar in told.message
        for secret in self.account.credentials.values():
            assert secret not in str(refused.value)
        return told.code


@pytest.fixture
async def simulated() -> AsyncIterator[tuple[Simulated, str]]:
    registrars = Simulated()
    app = web.Application()
    app.add_routes(registrars.routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield registrars, f"http://127.0.0.1:{runner.addresses[0][1]}/registrars"
    await runner.cleanup()


def customer_of(registrar: str, simulated: tuple[Simulated, str]) -> Customer:
    registrars, root = simulated
    credentials = {part: f"secret-{part}" for part in ADAPTERS[registrar].parts}
    registrars.accounts[registrar] = Account(credentials=credentials)
    return Customer(registrar, registrars.accounts[registrar], f"{root}/{registrar}")


@pytest.fixture(params=sorted(ADAPTERS))
def customer(request: pytest.FixtureRequest, simulated: tuple[Simulated, str]) -> Customer:
    return customer_of(request.param, simulated)


async def test_a_validation_reads_and_changes_nothing(customer: Customer) -> None:
    async with customer.open() as account:
        held = await account.validate(customer.fqdn)
        assert held == await account.get(customer.fqdn)
    assert set(held.nameservers) == set(OLD)
    assert held.ds == (() if customer.registrar in WITH_DS else None)
    assert customer.account.writes == 0


async def test_name_servers_are_set_once_and_put_back_once(customer: Customer) -> None:
    async with customer.open() as account:
        former = await account.get(customer.fqdn)
        await account.set(customer.fqdn, OURS)
        held = await account.get(customer.fqdn)
        assert set(held.nameservers) == set(OURS)
        assert not held.by_default
        await account.set(customer.fqdn, tuple(f"{name.upper()}." for name in reversed(OURS)))
        assert customer.account.writes == 1
        await account.rollback(customer.fqdn, former)
        assert set((await account.get(customer.fqdn)).nameservers) == set(OLD)
        await account.rollback(customer.fqdn, former)
    assert customer.account.writes == 2


async def test_a_change_begun_by_a_crashed_attempt_is_taken_over_by_the_next(customer: Customer) -> None:
    async with customer.open() as account:
        await account.set(customer.fqdn, OURS)
    async with customer.open() as account:
        await account.set(customer.fqdn, OURS)
    assert customer.account.writes == 1


async def test_a_registrars_own_default_is_put_back_by_its_setting(customer: Customer) -> None:
    customer.domain.by_default = customer.registrar in WITH_DEFAULT
    async with customer.open() as account:
        former = await account.get(customer.fqdn)
        assert former.by_default == (customer.registrar in WITH_DEFAULT)
        await account.set(customer.fqdn, OURS)
        await account.rollback(customer.fqdn, former)
        await account.rollback(customer.fqdn, former)
    assert customer.domain.by_default == former.by_default
    assert customer.account.writes == 2


@at(*sorted(set(ADAPTERS) - WITH_DS))
async def test_an_api_that_takes_no_ds_is_said_to_take_none(customer: Customer) -> None:
    async with customer.open() as account:
        with pytest.raises(RegistrarRefused) as refused:
            await account.set_ds(customer.fqdn, (customer.our_ds,))
    assert refused.value.code == "registrar-unsupported"


@at(*sorted(WITH_DS))
async def test_ds_are_compared_set_and_taken_away_where_the_api_knows_them(customer: Customer) -> None:
    async with customer.open() as account:
        ours, theirs = customer.our_ds, customer.their_ds
        customer.domain.ds = [theirs.model_dump()]
        former = await account.get(customer.fqdn)
        assert [one.identity for one in former.ds or ()] == [theirs.identity]
        await account.set_ds(customer.fqdn, ())
        assert (await account.get(customer.fqdn)).ds == ()
        await account.set(customer.fqdn, OURS)
        for digest in (ours.digest, ours.digest.upper()):
            await account.set_ds(customer.fqdn, (ours.model_copy(update={"digest": digest}),))
        assert [one.identity for one in (await account.get(customer.fqdn)).ds or ()] == [ours.identity]
        assert [DsRecord.model_validate(row).identity for row in customer.domain.ds] == [ours.identity]
        assert customer.account.writes == 3
        await account.rollback(customer.fqdn, former)
        back = await account.get(customer.fqdn)
    assert (set(back.nameservers), [one.identity for one in back.ds or ()]) == (set(OLD), [theirs.identity])


@at("ovh")
async def test_a_key_that_may_not_change_ds_leaves_them_to_the_owner(customer: Customer) -> None:
    customer.account.may_sign = False
    async with customer.open() as account:
        assert (await account.validate(customer.fqdn)).ds is None
        await account.set(customer.fqdn, OURS)
        assert (await account.get(customer.fqdn)).ds is None
        with pytest.raises(RegistrarRefused) as refused:
            await account.set_ds(customer.fqdn, (customer.our_ds.model_copy(update={"dnskey": ""}),))
    assert refused.value.code == "registrar-unsupported"


async def test_each_wrong_part_of_the_credentials_is_a_refusal_without_the_secret(customer: Customer) -> None:
    for part in customer.account.credentials:
        wanted = "registrar-caller-refused" if part == "client_ip" else "registrar-unauthorized"
        assert await customer.refuse(**{part: "wrong"}) == wanted


async def test_a_missing_part_is_named_before_anybody_is_called(customer: Customer) -> None:
    for part in customer.account.credentials:
        with pytest.raises(RegistrarRefused) as refused:
            async with customer.open(**{part: " "}):
                pass
        assert refused.value.code == "registrar-token-incomplete"
        assert f"missing: {part}" in refused.value.message
    assert customer.account.calls == 0


async def test_a_domain_of_somebody_else_is_missing_and_a_name_within_one_unsupported(customer: Customer) -> None:
    assert await customer.refuse("another.example") == "registrar-domain-missing"
    if customer.registrar == "cloudflare":
        assert await customer.refuse("shop.example") == "registrar-unsupported"
    else:
        assert await customer.refuse("sovereign.shop.example") == "registrar-unsupported"


@at("namecheap", "cloudflare")
async def test_an_address_that_is_not_on_the_list_is_told_apart_from_a_wrong_key(customer: Customer) -> None:
    customer.account.caller_allowed = False
    assert await customer.refuse() == "registrar-caller-refused"


@at("dynadot")
async def test_a_refusal_without_a_code_of_its_own_passes_the_registrars_words_on(customer: Customer) -> None:
    customer.account.caller_allowed = False
    assert await customer.refuse() == "registrar-refused"


@at("ovh", "cloudflare")
async def test_credentials_that_may_only_read_are_found_out_by_reading(customer: Customer) -> None:
    customer.account.may_change = False
    assert await customer.refuse() == "registrar-unauthorized"


@at("godaddy")
async def test_an_account_too_small_for_the_api_is_refused(customer: Customer) -> None:
    customer.account.may_change = False
    assert await customer.refuse() == "registrar-refused"


async def test_call_limits_and_outages_are_transient(customer: Customer) -> None:
    customer.account.calls_left = 0
    with pytest.raises(RegistrarBusy) as limited:
        async with customer.open() as account:
            await account.get(customer.fqdn)
    assert limited.value.code == "registrar-rate-limited"
    told = {"godaddy": timedelta(seconds=17), "cloudflare": timedelta(minutes=2)}
    assert limited.value.after == told.get(customer.registrar, timedelta(minutes=1))
    customer.account.calls_left = None
    customer.account.down = True
    assert await customer.refuse() == "registrar-down"


@at("namecheap", "godaddy", "ovh", "dynadot")
async def test_another_change_under_way_is_waited_for(customer: Customer) -> None:
    customer.domain.busy = True
    async with customer.open() as account:
        with pytest.raises(RegistrarBusy) as busy:
            await account.set(customer.fqdn, OURS)
        assert busy.value.code == "registrar-down"
        customer.domain.busy = False
        await account.set(customer.fqdn, OURS)
    assert customer.account.writes == 1


async def test_nobody_listening_is_an_outage(customer: Customer) -> None:
    customer.root = "http://127.0.0.1:1"
    assert await customer.refuse() == "registrar-down"


async def test_a_registrars_clock_is_followed(simulated: tuple[Simulated, str]) -> None:
    for ahead_s in (3600, -86_400):
        ovh = customer_of("ovh", simulated)
        ovh.account.clock_ahead_s = ahead_s
        async with ovh.open() as account:
            await account.set(ovh.fqdn, OURS)
        assert ovh.account.writes == 1


async def test_records_on_many_pages_are_all_read(simulated: tuple[Simulated, str]) -> None:
    cloudflare = customer_of("cloudflare", simulated)
    cloudflare.account.per_page = 2
    many = tuple(f"ns{number}.old.example" for number in range(7))
    cloudflare.domain.nameservers = list(many)
    async with cloudflare.open() as account:
        assert set((await account.get(cloudflare.fqdn)).nameservers) == set(many)
        await account.set(cloudflare.fqdn, OURS)
    assert set(cloudflare.domain.nameservers) == set(OURS)


async def test_a_name_that_was_never_delegated_is_so_again_after_rollback(simulated: tuple[Simulated, str]) -> None:
    cloudflare = customer_of("cloudflare", simulated)
    cloudflare.domain.nameservers = []
    async with cloudflare.open() as account:
        former = await account.validate(cloudflare.fqdn)
        assert former == Delegation(nameservers=(), ds=())
        await account.set(cloudflare.fqdn, OURS)
        await account.set_ds(cloudflare.fqdn, (cloudflare.our_ds,))
        await account.rollback(cloudflare.fqdn, former)
    assert (cloudflare.domain.nameservers, cloudflare.domain.ds) == ([], [])


async def test_a_registrars_words_reach_whoever_can_act_on_them(simulated: tuple[Simulated, str]) -> None:
    namecheap = customer_of("namecheap", simulated)
    namecheap.account.caller_allowed = False
    with pytest.raises(RegistrarRefused) as refused:
        async with namecheap.open() as account:
            await account.get(namecheap.fqdn)
    told = refused.value.trouble("read", namecheap.fqdn)
    assert "1011150: Invalid request IP: 127.0.0.1" in told.message
    assert (told.owner, told.retryable) == ("user", False)
    assert "allow-list" in told.next_step
