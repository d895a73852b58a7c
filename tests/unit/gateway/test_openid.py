"""What makes an ID token ours, and a person of its claims."""

import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import ECKey, KeySet, OctKey
from pydantic import ValidationError

from gateway.claims import Reading
from gateway.openid import Client, verified
from gateway.problems import Problem
from gateway.sessions import Sessions
from gateway.settings import Settings
from gateway.single_sign_on import own_page

CLIENT = Client("https://id.example.org", "catalyst", "", "openid", "https://console.example.org/login/provider/back")
KEY = ECKey.generate_key("P-256", {"kid": "one"})
READING = Reading(name_claim="preferred_username", owner_claim="organisation", roles_claim="roles", roles={})


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    body = {"iss": CLIENT.issuer, "aud": "catalyst", "sub": "7", "exp": now + 300, "iat": now, "nonce": "n"}
    return {name: value for name, value in (body | changes).items() if value is not None}


def token(body: dict[str, Any], *, key: Any = KEY, **header: str) -> dict[str, str]:
    return {"id_token": jwt.encode({"alg": "ES256", "kid": "one", **header}, body, key)}


def test_a_token_of_the_provider_for_us_and_this_login_gives_its_claims() -> None:
    assert verified(token(claims()), keys=KeySet([KEY]), client=CLIENT, nonce="n")["sub"] == "7"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "somebody-else"},
        {"aud": ["catalyst", "somebody-else"], "azp": "somebody-else"},
        {"exp": int(time.time()) - 3600},
        {"iat": int(time.time()) + 3600},
        {"nonce": "of another login"},
        {"nonce": None},
        {"sub": None},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    ],
)
def test_a_token_for_another_issuer_audience_time_or_login_does_not_hold(changes: dict[str, Any]) -> None:
    given = token(claims(**changes)) | {"access_token": "a"}
    with pytest.raises(Problem, match="login-refused"):
        verified(given, keys=KeySet([KEY]), client=CLIENT, nonce="n")


def test_a_token_without_a_signature_or_signed_by_a_shared_secret_or_another_key_does_not_hold() -> None:
    head, body, signature = token(claims())["id_token"].split(".")
    unsigned = "eyJhbGciOiJub25lIiwia2lkIjoib25lIn0." + body + "."
    secret = OctKey.import_key("s" * 32, {"kid": "one"})
    shared = jwt.encode({"alg": "HS256", "kid": "one"}, claims(), secret)
    others = token(claims(), key=ECKey.generate_key("P-256", {"kid": "one"}))["id_token"]
    for given in (unsigned, shared, others, f"{head}.{body}.{signature[:-4]}AAAA", "", "a.b.c"):
        with pytest.raises(Problem, match="login-refused"):
            verified(
                {"id_token": given}, keys=KeySet([KEY, secret] if given is shared else [KEY]), client=CLIENT, nonce="n"
            )
    unknown = token(claims(), kid="two")
    with pytest.raises(InvalidKeyIdError):
        verified(unknown, keys=KeySet([KEY]), client=CLIENT, nonce="n")


def test_claims_that_name_no_organisation_or_none_of_our_roles_make_no_account() -> None:
    for given in ({"roles": ["admin"]}, {"organisation": "../x", "roles": ["admin"]}, {"organisation": "demo"}):
        with pytest.raises(Problem, match="not-allowed"):
            READING.account({"sub": "7", **given})
    account = READING.account({"sub": "7", "organisation": "Demo", "roles": ["approver", "viewer", "root"]})
    assert (account.owner, account.roles) == ("demo", ("viewer", "approver"))


def test_a_session_of_the_provider_carries_its_rights_and_no_other_cookie_is_taken_for_one() -> None:
    sessions = Sessions(b"k" * 32, hours=1)
    account = READING.account({"sub": "7", "preferred_username": "grace", "organisation": "demo", "roles": "viewer"})
    session = sessions.read(sessions.begin_provided(account, hours=1))
    assert session is not None
    assert session.provided == account
    attempt = sessions.write("login", {"a": "grace", "n": "x"}, lasts_s=60)
    assert sessions.read(attempt) is None
    assert sessions.read_signed("login", sessions.write("login", {}, lasts_s=-1)) is None


def test_only_a_page_of_our_own_is_gone_on_to() -> None:
    assert own_page("/sovereigns/new/domain") == "/sovereigns/new/domain"
    for given in ("", "https://evil.example", "//evil.example", "/\\evil.example", "/a\nb"):
        assert own_page(given) == "/sovereigns"


def test_a_provider_in_clear_or_without_a_client_is_refused_at_start() -> None:
    for fields in (
        {"oidc_issuer": "http://id.example.org", "oidc_client_id": "catalyst"},
        {"oidc_issuer": "https://id.example.org"},
        {"oidc_issuer": "https://id.example.org", "oidc_client_id": "catalyst", "oidc_scopes": "profile"},
    ):
        with pytest.raises(ValidationError):
            Settings.model_validate({"nkey_file": "key", **fields})
