"""Which names a Sovereign may have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.identity import sovereign_id
from dns_pdm.names import Rules, judge, nested, normalise, pool_of

RULES = Rules(pools=("omani.works", "openova.io", "lab.openova.io"))


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("Demo.Omani.Works", "demo.omani.works"),
        ("demo.omani.works.", "demo.omani.works"),
        (" demo.omani.works ", "demo.omani.works"),
        ("bücher.omani.works", "xn--bcher-kva.omani.works"),
        ("straße.omani.works", "xn--strae-oqa.omani.works"),
    ],
)
def test_a_free_pool_name_is_told_in_its_stored_form(name: str, stored: str) -> None:
    verdict = judge(name, "pool", RULES)
    assert (verdict.kind, verdict.fqdn, verdict.reason) == ("free", stored, "")


@pytest.mark.parametrize(
    ("name", "mode", "kind"),
    [
        ("www.omani.works", "pool", "reserved"),
        ("CONSOLE.omani.works", "pool", "reserved"),
        ("omani.works", "pool", "reserved"),
        ("a.b.omani.works", "pool", "nested"),
        ("demo.example.org", "pool", "unmanaged"),
        ("notomani.works", "pool", "unmanaged"),
        ("*.omani.works", "pool", "invalid"),
        ("192.0.2.1", "pool", "invalid"),
        ("demo", "pool", "invalid"),
        ("", "pool", "invalid"),
        ("-demo.omani.works", "pool", "invalid"),
        ("de_mo.omani.works", "pool", "invalid"),
        ("☃.omani.works", "pool", "invalid"),
        (f"{'a' * 60}.omani.works", "pool", "invalid"),
        ("demo.omani.works", "byo-manual", "reserved"),
        ("omani.works", "byo-api", "reserved"),
        ("demo.omani.works..", "pool", "invalid"),
        ("xn--a.omani.works", "pool", "invalid"),
        ("xn--i-7iq.omani.works", "pool", "invalid"),
        ("1.2.3.4.", "byo-manual", "invalid"),
        ("co.uk", "byo-manual", "invalid"),
        ("CO.UK.", "byo-api", "invalid"),
        ("github.io", "byo-manual", "invalid"),
        ("shop.co.uk", "byo-manual", "free"),
        ("shop.example.org", "byo-manual", "free"),
        ("example.org", "byo-api", "free"),
    ],
)  # fmt: skip
def test_every_other_name_is_refused_for_its_own_reason(name: str, mode: str, kind: str) -> None:
    verdict = judge(name, mode, RULES)  # type: ignore[arg-type]  # the table holds only modes
    assert verdict.kind == kind
    assert bool(verdict.reason) == (kind != "free")


@pytest.mark.parametrize(
    ("name", "code"),
    [(f"{'a' * 60}.omani.works", "fqdn-too-long"), ("*.omani.works", "fqdn-invalid"), ("co.uk", "fqdn-public-suffix")],
)
def test_what_is_wrong_with_a_name_has_a_code_of_its_own(name: str, code: str) -> None:
    trouble = judge(name, "byo-manual", RULES).trouble()
    assert (trouble.code, trouble.owner) == (code, "user")


@pytest.mark.parametrize(
    "name", ["straße.omani.works", "bücher.omani.works", "βόλος.omani.works", "XN--BCHER-KVA.omani.works"]
)
def test_a_name_is_stored_as_requests_store_it(name: str) -> None:
    assert sovereign_id(name) == sovereign_id(normalise(name))


@pytest.mark.parametrize("name", ["אב1.example.org", "shop.אב.example.org", "مثال.example.org", "سوق.مثال.example.org"])
def test_names_from_right_to_left_are_names(name: str) -> None:
    assert judge(name, "byo-manual", RULES).kind == "free"
    assert judge(normalise(name), "byo-manual", RULES).kind == "free"


@pytest.mark.parametrize(
    "name",
    [
        "1אב.example.org",  # rule 1: begins with a digit
        "אבa.example.org",  # rule 2: a letter from left to right in it
        "אב-.example.org",  # no label ends with a hyphen
        "א\u06601.example.org",  # rule 4: digits of two kinds
        "3shop.אב.example.org",  # the rule binds the name's other labels too: this one begins with a digit
        "אב.3shop.example.org",
        "xn--4dbc.1shop.example.org",
        "xn--1-0hcd.example.org",
    ],
)
def test_a_name_that_could_be_read_in_two_orders_is_refused(name: str) -> None:
    verdict = judge(name, "byo-manual", RULES)
    assert (verdict.kind, verdict.trouble().code) == ("invalid", "fqdn-invalid")
    assert "IDNA 2008" in verdict.reason


def test_a_name_without_labels_from_right_to_left_may_begin_with_digits() -> None:
    assert judge("3bücher.1shop.example.org", "byo-manual", RULES).kind == "free"


def test_a_refusal_tells_whose_fault_it_is_and_what_to_do() -> None:
    trouble = judge("demo.example.org", "pool", RULES).trouble()
    assert (trouble.code, trouble.owner, trouble.retryable) == ("fqdn-unmanaged", "user", False)
    assert "omani.works" in trouble.message


def test_the_nearest_pool_counts() -> None:
    assert pool_of("x.lab.openova.io", RULES) == "lab.openova.io"
    assert pool_of("x.openova.io", RULES) == "openova.io"
    assert pool_of("openova.io", RULES) is None


def test_a_domain_above_a_pool_domain_is_ours() -> None:
    assert judge("b.test", "byo-manual", Rules(pools=("a.b.test",))).kind == "reserved"


@pytest.mark.parametrize(
    ("name", "zones", "refused"),
    [
        ("b.example.org", ["example.org"], True),
        ("example.org", ["a.b.example.org"], True),
        ("b.example.org", ["xexample.org", "b.example.com", "b.example.org"], False),
        ("demo.omani.works", ["omani.works"], False),
    ],
)
def test_zones_inside_zones_are_refused_both_ways(name: str, zones: list[str], *, refused: bool) -> None:
    found = nested(name, zones, RULES)
    assert (found is not None) == refused
    assert found is None or found.kind == "nested"


@given(st.text(max_size=80))
def test_whatever_is_asked_gets_a_verdict(text: str) -> None:
    for mode in ("pool", "byo-manual"):
        verdict = judge(text, mode, RULES)
        assert verdict.kind == "invalid" or normalise(verdict.fqdn) == verdict.fqdn
