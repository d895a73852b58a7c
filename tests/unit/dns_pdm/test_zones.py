"""What a zone should hold, and the way there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_pdm.zones import MARK, Change, RecordSet, absolute, difference, emptying, unsettled, wanted

FQDN = "demo.omani.works"
APEX = absolute(FQDN)
_record_sets = st.builds(
    RecordSet,
    name=st.sampled_from([APEX, f"console.{APEX}", f"x.{APEX}"]),
    type=st.sampled_from(["A", "AAAA", "TXT", "CAA", "SOA", "NS"]),
    ttl_s=st.sampled_from([60, 300]),
    content=st.just(("192.0.2.9",)),
    mark=st.sampled_from(["", MARK]),
)
_zones = st.lists(_record_sets, unique_by=lambda item: item.place)


def target(ipv6: str = "", ttl_s: int = 60) -> tuple[RecordSet, ...]:
    return wanted(FQDN, "192.0.2.1", ipv6, ttl_s=ttl_s, certificate_issuers=("letsencrypt.org",))


def applied(present: list[RecordSet], changes: tuple[Change, ...]) -> list[RecordSet]:
    places = {(change.name, change.type) for change in changes}
    return [item for item in present if item.place not in places] + [c.records for c in changes if c.records]


def test_a_sovereign_has_seven_names_and_a_say_on_certificates() -> None:
    names = {item.name.removesuffix(APEX) for item in target() if item.type == "A"}
    assert names == {"", "*.", "console.", "gitea.", "admin.", "api.", "harbor."}
    assert {item.content for item in target() if item.type == "CAA"} == {('0 issue "letsencrypt.org"',)}


def test_ipv6_is_published_where_the_load_balancer_has_it() -> None:
    assert not [item for item in target() if item.type == "AAAA"]
    assert len([item for item in target("2001:db8::1") if item.type == "AAAA"]) == 7


def test_a_load_balancer_without_address_is_an_error_and_a_wrong_address_too() -> None:
    with pytest.raises(ValueError, match="no address"):
        wanted(FQDN, "", "", ttl_s=60, certificate_issuers=())
    with pytest.raises(ValueError, match=r"192\.0\.2\.300"):
        wanted(FQDN, "192.0.2.300", "", ttl_s=60, certificate_issuers=())


def test_another_spelling_of_the_same_is_no_difference() -> None:
    present = [RecordSet(APEX, "AAAA", 60, ("2001:DB8:0:0::1",), MARK)]
    [ours] = [item for item in target("2001:db8::1") if item.place == (APEX, "AAAA")]
    assert difference([ours], present, FQDN).changes == ()


def test_another_ttl_is_a_difference() -> None:
    changes = difference(target(ttl_s=300), target(ttl_s=60), FQDN).changes
    assert {change.records.ttl_s for change in changes if change.records} == {300}
    assert len(changes) == len(target())


def test_what_did_not_read_back_is_named() -> None:
    changes = difference(target(), [], FQDN).changes
    assert unsettled(changes, target()) == ()
    lost = [item for item in target() if item.name != f"console.{APEX}"]
    assert unsettled(changes, lost) == (f"console.{APEX} A",)
    assert unsettled([Change(APEX, "TXT")], [RecordSet(APEX, "TXT", 60, ('"x"',))]) == (f"{APEX} TXT",)


@given(_zones)
def test_after_the_changes_there_is_nothing_left_to_change_and_nothing_foreign_is_lost(
    present: list[RecordSet],
) -> None:
    first = difference(target(), present, FQDN)
    after = applied(present, first.changes)
    assert difference(target(), after, FQDN).changes == ()
    assert unsettled(first.changes, after) == ()
    ours = {item.place for item in target()}
    foreign = {
        i
        for i in present
        if i.mark != MARK and i.place not in ours and not (i.name == APEX and i.type in {"SOA", "NS"})
    }
    assert foreign <= set(after)
    assert {f"{item.name.removesuffix('.')} {item.type}" for item in foreign} == set(first.foreign)


@given(_zones)
def test_emptying_keeps_what_makes_a_zone_and_nothing_else(present: list[RecordSet]) -> None:
    after = applied(present, emptying(present, FQDN))
    assert all(item.name == APEX and item.type in {"SOA", "NS"} for item in after)
