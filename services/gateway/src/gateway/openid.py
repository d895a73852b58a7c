"""An OpenID Connect provider (Core 1.0, code flow with PKCE), found by discovery; authlib is its protocol.

One login is two calls: ``begin`` gives the address to send the browser to and what has to be remembered until it is
back, ``finish`` exchanges the code and gives the claims. The ID token is checked for its signature, issuer, audience,
times, nonce and access token; the claims are the ID token's, completed by the userinfo endpoint of the same subject.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from authlib.common.security import generate_token
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.errors import OAuth2Error
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from gateway.problems import Problem, refuse

log = logging.getLogger(__name__)

Claims = dict[str, Any]
KNOWN_FOR_S: Final = 3600.0
"""How long what discovery said is believed; new keys are fetched when a token names one."""
WITHIN_S: Final = 10.0
"""For one call to the provider."""
LEEWAY_S: Final = 60
"""By how much the two clocks may differ."""
_SIGNED_BY: Final = ("RS256", "PS256", "ES256", "EdDSA", "RS384", "RS512", "ES384", "ES512", "PS384", "PS512")
"""Signatures of a key pair: ``none`` and those by a shared secret are not among them."""


@dataclass(frozen=True)
class Client:
    """Who we are to the provider."""

    issuer: str
    client_id: str
    client_secret: str
    """Empty for a public client: PKCE alone binds the code to us."""
    scopes: str
    redirect_uri: str


@dataclass(frozen=True)
class Attempt:
    """What is remembered while the browser is at the provider."""

    state: str
    nonce: str
    verifier: str


@dataclass
class Provider:
    """The provider, as discovery describes it."""

    client: Client
    http: aiohttp.ClientSession
    _metadata: Claims = field(default_factory=dict)
    _known_until: float = 0.0
    _keys: KeySet | None = None

    async def begin(self) -> tuple[str, Attempt]:
        """The address to send the browser to, and what to remember; Problem when the provider is silent."""
        metadata = await self._discovered()
        attempt = Attempt(generate_token(32), generate_token(32), generate_token(64))
        url = prepare_grant_uri(
            metadata["authorization_endpoint"],
            client_id=self.client.client_id,
            response_type="code",
            redirect_uri=self.client.redirect_uri,
            scope=self.client.scopes,
            state=attempt.state,
            nonce=attempt.nonce,
            code_challenge=create_s256_code_challenge(attempt.verifier),
            code_challenge_method="S256",
        )
        return str(url), attempt

    async def finish(self, attempt: Attempt, answer: Mapping[str, str]) -> Claims:
        """The claims of whoever logged in; Problem when the answer is not the one to this attempt, or a refusal."""
        if not hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
            raise refused("The answer belongs to another login.")
        metadata = await self._discovered()
        unnamed = "" if metadata.get("authorization_response_iss_parameter_supported") else self.client.issuer
        if answer.get("iss", unnamed) != self.client.issuer:
            raise refused("The answer is another provider's.")  # RFC 9207: mix-up
        if "error" in answer:
            raise refused(f"The provider says {answer['error'][:80]}: {answer.get('error_description', '')[:300]}")
        given = await self._exchange(metadata, answer.get("code", ""), attempt.verifier)
        claims = await self._verified(given, attempt.nonce)
        if endpoint := metadata.get("userinfo_endpoint"):
            bearer = {"Authorization": f"Bearer {given.get('access_token', '')}"}
            info = await self._json("GET", endpoint, headers=bearer)
            if info.get("sub") != claims["sub"]:
                raise refused("The user information is about another subject.")
            claims = {**info, **claims}
        return claims

    async def _discovered(self) -> Claims:
        if time.monotonic() < self._known_until:
            return self._metadata
        found = await self._json("GET", get_well_known_url(self.client.issuer, external=True))
        try:
            OpenIDProviderMetadata(found).validate()
        except ValueError as error:
            raise unreachable(f"What discovery says is wrong: {error}") from None
        if found["issuer"] != self.client.issuer:
            raise unreachable(f"Discovery names the issuer {str(found['issuer'])[:200]}.")
        self._metadata, self._known_until = found, time.monotonic() + KNOWN_FOR_S
        self._keys = None
        return found

    async def _exchange(self, metadata: Claims, code: str, verifier: str) -> Claims:
        body = prepare_token_request(
            "authorization_code", code=code, redirect_uri=self.client.redirect_uri, code_verifier=verifier
        )
        endpoint = metadata["token_endpoint"]
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        method = "client_secret_basic" if self.client.client_secret else "none"
        sign = ClientAuth(self.client.client_id, self.client.client_secret, method)
        endpoint, headers, body = sign.prepare("POST", endpoint, headers, body)
        return await self._json("POST", endpoint, headers=headers, data=body)

    async def _verified(self, given: Claims, nonce: str) -> Claims:
        keys = self._keys or await self._fetched_keys()
        try:
            return verified(given, keys=keys, client=self.client, nonce=nonce)
        except InvalidKeyIdError:  # the provider has a newer key than we know
            keys = await self._fetched_keys()
        try:
            return verified(given, keys=keys, client=self.client, nonce=nonce)
        except InvalidKeyIdError:
            raise refused("The ID token is signed by a key that the provider does not show.") from None

    async def _fetched_keys(self) -> KeySet:
        found = await self._json("GET", self._metadata["jwks_uri"])
        try:
            self._keys = KeySet.import_key_set(found)  # type: ignore[arg-type]  # judged by the import itself
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise unreachable(f"Its keys cannot be read: {type(error).__name__}.") from None
        return self._keys

    async def _json(self, method: str, url: str, **more: Any) -> Claims:
        """One call; a refusal (4xx) is the login's, everything else is the provider's."""
        try:
            async with (
                asyncio.timeout(WITHIN_S),
                self.http.request(method, url, allow_redirects=False, **more) as response,
            ):
                body = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            log.warning("provider silent", extra={"action": "provider-silent", "why": f"{type(error).__name__}"})
            raise unreachable(f"{type(error).__name__} at {url}") from None
        if not isinstance(body, dict):
            raise unreachable(f"No JSON object at {url}")
        if 400 <= response.status < 500:  # noqa: PLR2004 - HTTP's class of refusals
            raise refused(f"The provider says {str(body.get('error', response.status))[:80]}.")
        if not response.ok:
            raise unreachable(f"HTTP {response.status} at {url}")
        return body


def verified(given: Claims, *, keys: KeySet, client: Client, nonce: str) -> Claims:
    """The claims of an ID token that is the provider's, for us, of this login; Problem otherwise.

    Raises InvalidKeyIdError when it is signed by a key that is not in the set.
    """
    try:
        token = jwt.decode(
            str(given.get("id_token", "")),
            keys,
            registry=JWSRegistry(algorithms=list(_SIGNED_BY), strict_check_header=False),
        )
        claims = CodeIDToken(
            token.claims,
            token.header,
            {
                "iss": {"essential": True, "value": client.issuer},
                "aud": {"essential": True, "value": client.client_id},
                "nonce": {"essential": True, "value": nonce},
            },
            {"nonce": nonce, "client_id": client.client_id, "access_token": given.get("access_token")},
        )
        claims.validate(leeway=LEEWAY_S)
    except InvalidKeyIdError:
        raise
    except (JoseError, OAuth2Error, ValueError) as error:
        raise refused(f"The ID token does not hold: {error}") from None
    return dict(claims)


def refused(message: str) -> Problem:
    """The provider, or what it sent, opens nothing."""
    return refuse("login-refused", attempted="log in by the provider", on="login", message=message)


def unreachable(message: str) -> Problem:
    """Nobody can log in by the provider now."""
    return refuse("login-provider-unreachable", attempted="log in by the provider", on="login", message=message)
