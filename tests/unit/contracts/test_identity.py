"""Names of Sovereigns: what operators type, and the one form in which it is kept."""

import idna
import pytest
from pydantic import TypeAdapter, ValidationError

from contracts.identity import Fqdn, fqdn_of, sovereign_id

FQDN: TypeAdapter[str] = TypeAdapter(Fqdn)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Demo.OMANI.works", "demo.omani.works"),
        ("demo.omani.works.", "demo.omani.works"),
        ("  demo.omani.works ", "demo.omani.works"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("demo\u3002omani.works", "demo.omani.works"),
        ("7.example", "7.example"),
    ],
    ids=["mixed case", "trailing dot", "blanks", "A-label", "ideographic full stop", "digit label"],
)
def test_a_name_is_kept_in_one_form(typed: str, kept: str) -> None:
    assert FQDN.validate_python(typed) == kept
    assert fqdn_of(sovereign_id(typed)) == kept


@pytest.mark.parametrize(
    "name",
    [
        "bücher.example",
        "BÜCHER.example",
        "straße.example",
        "βόλος.example",
        "普遍.works",
        "пример.example",
        "मराठी.works",
    ],
)
def test_an_international_name_is_stored_as_its_a_label_of_idna_2008(name: str) -> None:
    assert FQDN.validate_python(name) == idna.encode(name, uts46=True, transitional=False).decode()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a" * 50 + ".omani.works", ""),
        ("a" * 52 + ".omani.works", "fqdn-too-long"),
        ("*.omani.works", "fqdn-wildcard"),
        ("demo.*.works", "fqdn-wildcard"),
        ("10.0.0.1", "fqdn-ip"),
        ("2001:db8::1", "fqdn-ip"),
        ("demo.10", "fqdn-ip"),
        ("works", "fqdn-invalid"),
        ("", "fqdn-invalid"),
        ("demo..works", "fqdn-invalid"),
        ("-demo.works", "fqdn-invalid"),
        ("de_mo.works", "fqdn-invalid"),
        ("demo works.example", "fqdn-invalid"),
        ("i♥ny.example", "fqdn-invalid"),
        ("ab--cd.example", "fqdn-invalid"),
        ("xn--a.example", "fqdn-invalid"),
        ("xn--demo-.example", "fqdn-invalid"),
        ("\u0301a.example", "fqdn-invalid"),
        ("a" * 64 + ".b", "fqdn-invalid"),
    ],
)
def test_what_is_no_name_says_which_rule_it_breaks(name: str, code: str) -> None:
    if not code:
        assert FQDN.validate_python(name) == name
        return
    with pytest.raises(ValidationError) as refused:
        FQDN.validate_python(name)
    assert refused.value.errors()[0]["msg"].startswith(f"Value error, {code}: ")
