import { generateKeyPairSync, type JsonWebKey } from "node:crypto";
import { expect, test } from "vitest";
import { issuedKey } from "../../../../test/support/token-issuer.ts";
import { jwtAuth } from "./jwt-auth.ts";
import { readKeys } from "./key-set.ts";

const good = { EdDSA: issuedKey("EdDSA"), ES256: issuedKey("ES256"), RS256: issuedKey("RS256") };
const others = [issuedKey("EdDSA"), issuedKey("RS256")] as const;
const algorithms = ["EdDSA", "ES256", "RS256"] as const;
const base64url = (hex: string) => Buffer.from(hex, "hex").toString("base64url");

function rsa(bits: number): JsonWebKey {
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: bits });
  return { ...publicKey.export({ format: "jwk" }), kid: "rsa" };
}

const { privateKey } = good.EdDSA;
const bad: Record<string, [key: unknown, problem: string]> = {
  "a private key": [{ ...privateKey.export({ format: "jwk" }), kid: "x" }, "the member d"],
  "a symmetric key": [{ kty: "oct", k: "c2VjcmV0", kid: "x" }, "a symmetric key"],
  "a secret in a public key": [{ ...good.RS256.jwk, k: "c2VjcmV0" }, "the member k"],
  "RSA of 512 bits": [
    { kty: "RSA", kid: "x", e: "AQAB", n: base64url("c1".repeat(64)) },
    "512 bits",
  ],
  "RSA of 1024 bits": [rsa(1_024), "1024 bits"],
  "RSA of 16384 bits": [
    { kty: "RSA", kid: "x", e: "AQAB", n: base64url("c1".repeat(2_048)) },
    "16384 bits",
  ],
  "RSA that only zeros make long": [
    { kty: "RSA", kid: "x", e: "AQAB", n: base64url("00".repeat(200) + "c1".repeat(64)) },
    "512 bits",
  ],
  "exponent 1": [{ ...good.RS256.jwk, e: "AQ" }, "exponent"],
  "exponent 0": [{ ...good.RS256.jwk, e: "AA" }, "exponent"],
  "an even exponent": [{ ...good.RS256.jwk, e: "BA" }, "exponent"],
  "an exponent of 64 bits": [{ ...good.RS256.jwk, e: "AQAAAAAAAAE" }, "exponent"],
  "an even modulus": [
    { kty: "RSA", kid: "x", e: "AQAB", n: base64url("c2".repeat(256)) },
    "even number",
  ],
  "a point off P-256": [{ ...good.ES256.jwk, y: good.ES256.jwk.x }, "cannot be read"],
  "the point 0, 0": [{ ...good.ES256.jwk, x: "A".repeat(43), y: "A".repeat(43) }, "cannot be read"],
  "a point off Ed25519": [
    { ...good.EdDSA.jwk, x: base64url(`02${"00".repeat(31)}`) },
    "not a point",
  ],
  "the neutral point": [{ ...good.EdDSA.jwk, x: base64url(`01${"00".repeat(31)}`) }, "small order"],
  "a point of order 2": [
    { ...good.EdDSA.jwk, x: base64url(`ec${"ff".repeat(30)}7f`) },
    "small order",
  ],
  "a point of order 4": [{ ...good.EdDSA.jwk, x: base64url("00".repeat(32)) }, "small order"],
  "a point of order 8": [
    {
      ...good.EdDSA.jwk,
      x: base64url("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    },
    "small order",
  ],
  "y not below p": [{ ...good.EdDSA.jwk, x: base64url(`${"ff".repeat(31)}7f`) }, "not canonical"],
  "31 bytes": [{ ...good.EdDSA.jwk, x: base64url("11".repeat(31)) }, "32 bytes"],
  "no x": [{ kty: "OKP", crv: "Ed25519", kid: "x" }, "base64url"],
  "no kid": [{ ...good.EdDSA.jwk, kid: undefined }, "kid"],
  "a kid that is a number": [{ ...good.EdDSA.jwk, kid: 1 }, "kid"],
  "a kid of 65 characters": [{ ...good.EdDSA.jwk, kid: "k".repeat(65) }, "kid"],
  null: [null, "not an object"],
  "a text": ["key", "not an object"],
};

test.each(Object.entries(bad))("%s is left out, and the others are used", (_, [key, problem]) => {
  const set = readKeys([others[0].jwk, key, others[1].jwk], algorithms);
  expect(set.problems).toEqual([expect.stringContaining(problem)]);
  expect(set.keys.size).toBe(2);
  // Given in code, it is a mistake.
  const options = { issuer: "https://a.example", audience: "a", keys: [key as JsonWebKey] };
  expect(() => jwtAuth(options)).toThrow(problem);
});

test("several keys with one kid are left out", () => {
  const other = issuedKey("ES256", good.EdDSA.kid);
  const set = readKeys([good.EdDSA.jwk, other.jwk, good.RS256.jwk], algorithms);
  expect([...set.keys.keys()]).toEqual([good.RS256.kid]);
  expect(set.problems).toEqual([expect.stringContaining("several keys")]);
});

test("keys for other purposes are ignored", () => {
  const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey;
  const others = [
    { ...good.RS256.jwk, use: "enc" },
    { ...good.RS256.jwk, use: undefined, key_ops: ["encrypt"] },
    { ...good.RS256.jwk, alg: "RS512" },
    { ...good.RS256.jwk, alg: "RSA-OAEP" },
    { ...p384.export({ format: "jwk" }), kid: "p384" },
    { kty: "OKP", crv: "X25519", x: "A".repeat(43), kid: "x25519" },
    { kty: "AKP", alg: "ML-DSA-44", pub: "AAAA", kid: "pq" },
  ];
  const set = readKeys([...others, good.RS256.jwk], algorithms);
  expect([...set.keys.keys()]).toEqual([good.RS256.kid]);
  expect(set.problems).toEqual([]);
  expect(readKeys([good.RS256.jwk], ["EdDSA"]).keys.size).toBe(0);
});
