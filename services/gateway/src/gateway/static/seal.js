// Secrets are sealed here, to the public key of the one service that opens them; the gateway only carries ciphertext.

import { call } from "./api.js";
import { sealBytes } from "./hpke.js";

const ALGORITHM = "hpke-x25519-hkdf-sha256-aes128gcm";
const READERS = { "cloud-token": "tofu-runner", "registrar-token": "dns-pdm" };

// What a secret is bound to that is only tried, before the Sovereign has a name.
export const DRAFT = "draft";

// A page that came over plain HTTP from elsewhere has no WebCrypto, and may have been changed on its way.
export const maySeal = globalThis.isSecureContext && Boolean(globalThis.crypto?.subtle);

const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const base64 = (raw) => btoa(String.fromCharCode(...raw));

export const sovereignId = (fqdn) => fqdn.toLowerCase().replaceAll(".", "_");

export async function seal(secret, purpose, boundTo) {
  const reader = READERS[purpose];
  const key = (await call("GET", `/api/v1/keys/${reader}`)).keys[0];
  // The same bytes as the reader's: JSON without blanks.
  const info = new TextEncoder().encode(JSON.stringify(["catalyst-zero", purpose, reader, boundTo]));
  const sealed = await sealBytes(bytes(key.public_key), info, new TextEncoder().encode(secret));
  return { reader, purpose, kid: key.kid, bound_to: boundTo, algorithm: ALGORITHM, ciphertext: base64(sealed) };
}
