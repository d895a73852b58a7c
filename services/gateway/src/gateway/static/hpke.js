// HPKE (RFC 9180), base mode, single shot: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, over WebCrypto.
// Sections in brackets are the RFC's. A browser test computes its appendix A.1 with this file.

const KEM = new Uint8Array([0x00, 0x20]); // DHKEM(X25519, HKDF-SHA256)
const KDF = new Uint8Array([0x00, 0x01]); // HKDF-SHA256
const AEAD = new Uint8Array([0x00, 0x01]); // AES-128-GCM
const KEY_BYTES = 16;
const NONCE_BYTES = 12;
const BASE_MODE = new Uint8Array([0]);
const NOTHING = new Uint8Array();

const text = (words) => new TextEncoder().encode(words);
const joined = (...parts) => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
};

const KEM_SUITE = joined(text("KEM"), KEM);
const SUITE = joined(text("HPKE"), KEM, KDF, AEAD);

async function hmac(key, message) {
  // WebCrypto refuses an empty key; RFC 5869 says that an empty salt is as many zeros as the hash is long.
  const bytes = key.length ? key : new Uint8Array(32);
  const imported = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, message));
}

// LabeledExtract and LabeledExpand [4]; nothing here is longer than one block of SHA-256.
const extract = (suite, salt, label, material) => hmac(salt, joined(text("HPKE-v1"), suite, text(label), material));
async function expand(suite, key, label, info, length) {
  const size = new Uint8Array([length >> 8, length & 255]);
  const block = await hmac(key, joined(size, text("HPKE-v1"), suite, text(label), info, new Uint8Array([1])));
  return block.slice(0, length);
}

// Encap [4.1]: a fresh key pair meets the reader's public key.
async function encapsulated(readerKey, pair) {
  const reader = await crypto.subtle.importKey("raw", readerKey, { name: "X25519" }, true, []);
  const shared = new Uint8Array(await crypto.subtle.deriveBits({ name: "X25519", public: reader }, pair.privateKey, 256));
  const enc = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const extracted = await extract(KEM_SUITE, NOTHING, "eae_prk", shared);
  return { enc, secret: await expand(KEM_SUITE, extracted, "shared_secret", joined(enc, readerKey), 32) };
}

// KeySchedule [5.1] without a pre-shared key.
async function schedule(shared, info) {
  const psk = await extract(SUITE, NOTHING, "psk_id_hash", NOTHING);
  const context = joined(BASE_MODE, psk, await extract(SUITE, NOTHING, "info_hash", info));
  const secret = await extract(SUITE, shared, "secret", NOTHING);
  return {
    key: await expand(SUITE, secret, "key", context, KEY_BYTES),
    nonce: await expand(SUITE, secret, "base_nonce", context, NONCE_BYTES),
  };
}

// Seals once [6.1]: encapsulated key and ciphertext, one after the other. `pair` is given by the test of the vectors only.
export async function sealBytes(readerKey, info, plaintext, { aad = NOTHING, pair = null } = {}) {
  const own = pair || (await crypto.subtle.generateKey({ name: "X25519" }, false, ["deriveBits"]));
  const { enc, secret } = await encapsulated(readerKey, own);
  const { key, nonce } = await schedule(secret, info);
  const cipher = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt"]);
  const options = { name: "AES-GCM", iv: nonce, additionalData: aad };
  return joined(enc, new Uint8Array(await crypto.subtle.encrypt(options, cipher, plaintext)));
}
