"""Secrets are sealed in the browser so that only their reader opens them."""

from typing import Final

import pytest

from bus import SealKeys
from contracts.request import SealedSecret
from tests.browser.conftest import SeatOf

pytestmark = pytest.mark.asyncio(loop_scope="session")

# RFC 9180, appendix A.1.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode, sequence number 0.
VECTOR: Final = {
    "info": "4f6465206f6e2061204772656369616e2055726e",
    "pkEm": "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
    "skEm": "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736",
    "pkRm": "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d",
    "pt": "4265617574792069732074727574682c20747275746820626561757479",
    "aad": "436f756e742d30",
    "ct": "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a",
}

_SEAL_THE_VECTOR: Final = """async (vector) => {
  const { sealBytes } = await import("/static/hpke.js");
  const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
  const base64 = (hex) => btoa(String.fromCharCode(...bytes(hex)));
  const url = (hex) => base64(hex).replace(/[+]/g, "-").replace(/[/]/g, "_").replace(/=/g, "");
  const jwk = { kty: "OKP", crv: "X25519", x: url(vector.pkEm) };
  const algorithm = { name: "X25519" };
  const pair = {
    publicKey: await crypto.subtle.importKey("jwk", jwk, algorithm, true, []),
    privateKey: await crypto.subtle.importKey("jwk", { ...jwk, d: url(vector.skEm) }, algorithm, true, ["deriveBits"]),
  };
  const options = { aad: bytes(vector.aad), pair };
  const sealed = await sealBytes(bytes(vector.pkRm), bytes(vector.info), bytes(vector.pt), options);
  return Array.from(sealed, (byte) => byte.toString(16).padStart(2, "0")).join("");
}"""

_SEAL_A_TOKEN: Final = """async () => {
  const { seal } = await import("/static/seal.js");
  return [await seal("canary", "cloud-token", "a_b"), await seal("canary", "cloud-token", "a_b")];
}"""


async def test_the_browser_computes_the_vectors_of_rfc_9180(seat_of: SeatOf) -> None:
    page = await (await seat_of("operator")).open("/sovereigns")
    assert await page.evaluate(_SEAL_THE_VECTOR, VECTOR) == VECTOR["pkEm"] + VECTOR["ct"]


async def test_the_reader_opens_what_the_browser_sealed_and_nobody_else_does(seat_of: SeatOf) -> None:
    seat = await seat_of("operator")
    page = await seat.open("/sovereigns")
    keys, others = SealKeys.generate("tofu-runner"), SealKeys.generate("tofu-runner")
    body = {"service": "tofu-runner", "keys": [key.model_dump() for key in keys.public()]}
    await page.route("**/api/v1/keys/tofu-runner", lambda route: route.fulfill(json=body))
    first, second = (SealedSecret.model_validate(row) for row in await page.evaluate(_SEAL_A_TOKEN))
    assert keys.open(first, bound_to="a_b", purpose="cloud-token") == b"canary"
    assert first.ciphertext != second.ciphertext
    moved = first.model_copy(update={"bound_to": "c_d"})
    for key, secret, bound in ((others, first, "a_b"), (keys, first, "c_d"), (keys, moved, "c_d")):
        with pytest.raises(ValueError, match="sealed"):
            key.open(secret, bound_to=bound)
