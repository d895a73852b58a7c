"""What registrars' answers are read as, signatures by the vendors' own formulas, and names as they are sold."""

from collections.abc import Callable
from functools import partial

import pytest

from contracts.dns import Delegation, DsRecord
from dns_pdm.registrars import cloudflare, dynadot, godaddy, namecheap, ovh
from dns_pdm.registrars.calls import Said, registered, same_hosts
from dns_pdm.registrars.port import RegistrarBusy, RegistrarRefused

FQDN = "shop.example.co.uk"


def code_of(error: Exception) -> str:
    assert isinstance(error, RegistrarRefused | RegistrarBusy)
    return error.code


def namecheap_says(inner: str, status: str = "ERROR") -> Said:
    text = f'<ApiResponse Status="{status}" xmlns="http://api.namecheap.com/xml.response">{inner}</ApiResponse>'
    return Said("namecheap", 200, text)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("1011102", "registrar-unauthorized"),
        ("1011150", "registrar-caller-refused"),
        ("2019166", "registrar-domain-missing"),
        ("500000", "registrar-rate-limited"),
        ("2015166", "registrar-down"),
        ("2011147", "registrar-refused"),
    ],
)
def test_namecheap_is_read_by_number(number: str, code: str) -> None:
    said = namecheap_says(f'<Errors><Error Number="{number}">any words</Error></Errors>')
    with pytest.raises((RegistrarRefused, RegistrarBusy)) as refused:
        namecheap.read(said, "example.co.uk", "DomainDNSGetListResult")
    assert code_of(refused.value) == code


@pytest.mark.parametrize(
    "said",
    [
        Said("namecheap", 200, "<html>maintenance"),
        namecheap_says("<Errors />", "OK"),
        namecheap_says("<Errors />"),
        namecheap_says('<DomainDNSSetCustomResult Domain="a.example" Updated="false" />', "OK"),
    ],
)
def test_an_answer_without_what_was_asked_for_is_an_outage(said: Said) -> None:
    with pytest.raises(RegistrarBusy) as busy:
        namecheap.read(said, FQDN, "DomainDNSSetCustomResult")
    assert busy.value.code == "registrar-down"


def test_an_answer_that_is_no_json_is_an_outage() -> None:
    with pytest.raises(RegistrarBusy):
        Said("godaddy", 502, "<html>").body()


@pytest.mark.parametrize(
    "read",
    [
        partial(dynadot.names_in, {"servers": []}),
        partial(dynadot.names_in, {"name_servers": [7]}),
        partial(dynadot.ds_in, {"key_tag": 5, "algorithm": "ECDSA", "digest_type": "2", "digest": "AB"}),
        partial(cloudflare.read, [{"type": "DS", "content": "1 13 2 ab"}]),
    ],
)
def test_an_answer_in_another_shape_is_an_outage_and_no_crash(read: Callable[[], object]) -> None:
    with pytest.raises(RegistrarBusy) as busy:
        read()
    assert busy.value.code == "registrar-down"


def test_godaddy_names_the_fields_that_it_refuses() -> None:
    body = '{"code":"INVALID_BODY","message":"no","fields":[{"path":"nameServers","code":"X","message":"too few"}]}'
    error = godaddy.refusal(Said("godaddy", 422, body), FQDN)
    assert code_of(error) == "registrar-refused"
    assert "nameServers: too few" in str(error)


def test_godaddy_has_a_domain_used_elsewhere_come_again() -> None:
    body = '{"code":"INVALID_STATE","message":"being used in another request"}'
    assert code_of(godaddy.refusal(Said("godaddy", 422, body), FQDN)) == "registrar-down"


@pytest.mark.parametrize(
    ("status", "error_code", "code"),
    [
        (403, "NOT_GRANTED_CALL", "registrar-unauthorized"),
        (403, "INVALID_KEY", "registrar-unauthorized"),
        (400, "QUERY_TIME_OUT", "registrar-down"),
        (409, "", "registrar-down"),
        (404, "", "registrar-unsupported"),
        (460, "", "registrar-refused"),
    ],
)
def test_ovh_is_read_by_code_and_status(status: int, error_code: str, code: str) -> None:
    said = Said("ovh", status, f'{{"message":"any words","errorCode":"{error_code}"}}')
    assert code_of(ovh.refusal(said, FQDN)) == code


def test_ovh_signs_by_its_published_formula() -> None:
    parts = {"application_secret": "AS", "consumer_key": "CK"}
    # echo -n "AS+CK+GET+https://eu.api.ovh.com/1.0/domain++1366560945" | sha1sum
    assert (
        ovh.signature(parts, "GET", "https://eu.api.ovh.com/1.0/domain", "", "1366560945")
        == "$1$8a5b491015f8e88a763bda10992400c62b23ca3b"
    )


def test_ovh_grants_what_a_rule_with_a_star_covers() -> None:
    rules = [{"method": "GET", "path": "/*"}, {"method": "POST", "path": "/domain/*"}]
    assert ovh.may(rules, "POST", "/domain/example.org/nameServers/update")
    assert not ovh.may(rules, "PUT", "/domain/example.org")


def test_dynadot_signs_as_its_documentation_shows() -> None:
    parts = {"api_key": "your_api_key", "api_secret": "your_secret"}
    signed = dynadot.signature(parts, "/restful/v2/accounts/info", "550e8400-e29b-41d4-a716-446655440000", "")
    assert signed == "zvC0VjJrs2smbLXs6cw3Q4VuymDxGVgn6VbxWFYXzhU="


@pytest.mark.parametrize(
    "data",
    [
        {"nameserver_list": ["NS1.old.example.", "ns2.old.example"]},
        {"nameserver_list": [{"server_name": "ns1.old.example"}, {"server_name": "ns2.old.example"}]},
        {"name_servers": [{"host": "", "ns_name": "ns1.old.example"}, {"host": "", "ns_name": "ns2.old.example"}]},
    ],
)
def test_dynadot_shows_name_servers_in_more_than_one_shape(data: dict[str, object]) -> None:
    assert dynadot.names_in(data) == ("ns1.old.example", "ns2.old.example")


@pytest.mark.parametrize(("algorithm", "digest_type"), [("ECDSA P-256/SHA-256 (13)", "SHA-256 (2)"), ("13", "2")])
def test_dynadot_numbers_are_found_behind_their_names(algorithm: str, digest_type: str) -> None:
    row = {"key_tag": 5, "algorithm": algorithm, "digest_type": digest_type, "digest": "AB"}
    assert dynadot.ds_in(row) == DsRecord(key_tag=5, algorithm=13, digest_type=2, digest="ab")


def test_dynadot_errors_are_read_from_the_body_of_a_success() -> None:
    fields = {"code": 400, "message": "Bad Request", "error": {"description": "nameserver_list is empty"}}
    error = dynadot.refusal(Said("dynadot", 200, ""), 400, fields, FQDN)
    assert code_of(error) == "registrar-refused"
    assert "nameserver_list is empty" in str(error)


@pytest.mark.parametrize(
    ("number", "code"),
    [(9109, "registrar-caller-refused"), (6003, "registrar-unauthorized"), (81053, "registrar-refused")],
)
def test_cloudflare_is_read_by_number(number: int, code: str) -> None:
    fields = {"success": False, "errors": [{"code": number, "message": "any words"}]}
    assert code_of(cloudflare.refusal(Said("cloudflare", 403, ""), fields, FQDN)) == code


def test_cloudflare_records_of_other_types_say_nothing_of_a_delegation() -> None:
    rows = [{"type": "TXT", "content": "x"}, {"type": "NS", "content": "NS1.old.example"}]
    assert cloudflare.read(rows) == Delegation(nameservers=("ns1.old.example",), ds=())


def test_registrars_sell_names_below_registries_suffixes() -> None:
    assert registered(FQDN) == "example.co.uk"
    assert registered("project.github.io") == "github.io"


def test_name_server_sets_are_the_same_in_any_order_and_case() -> None:
    assert same_hosts(("NS1.a.example.", "ns2.a.example"), ("ns2.a.example", "ns1.a.example"))
    assert not same_hosts(("ns1.a.example",), ("ns2.a.example",))
