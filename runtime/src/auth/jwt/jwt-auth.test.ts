import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compactVerify, importJWK, jwtVerify } from "jose";
import { expect, test, vi } from "vitest";
import { TestAuthority } from "../../../../test/support/certificates.ts";
import {
  type IssuedKey,
  otherSpellings,
  TokenIssuer,
  thumbprint,
} from "../../../../test/support/token-issuer.ts";
import type { Peer } from "../../call/call.ts";
import { jwtAuth } from "./jwt-auth.ts";

const issuer = new TokenIssuer();
const peer: Peer = { address: "127.0.0.1:1", transport: "tcp" };
const { issuer: name, audience, jwks } = issuer;
const auth = jwtAuth({ issuer: name, audience, keys: jwks });

function inspect(token: string, at: Peer = peer) {
  return auth.inspect({ scheme: "bearer", token }, at);
}

test.each(Object.values(issuer.keys))(
  "a token signed by $algorithm proves its account",
  async (key) => {
    const token = issuer.token({ key, claims: { email: "ada@acme.example" } });
    const account = await inspect(token);
    expect(account).toMatchObject({
      id: "user:ada",
      type: "user",
      issuer: "https://issuer.example",
      claims: { email: "ada@acme.example", scope: "stock.read stock.write" },
      provenBy: "token",
    });
    expect([...account!.scopes]).toEqual(["stock.read", "stock.write"]);
    expect(account!.expiresAtMs).toBeGreaterThan(Date.now() + 300_000);
  },
);

test("jose accepts a signature whose last character was changed, and jwtAuth does not", async () => {
  const key = issuer.keys.EdDSA;
  const token = issuer.token({ key });
  const others = otherSpellings(token);
  expect(others).toHaveLength(15);
  const imported = await importJWK(key.jwk, "EdDSA");
  for (const other of [...others, `${token}\n`]) {
    await compactVerify(other, imported);
    await jwtVerify(other, imported, { issuer: name, audience });
    await expect(inspect(other)).rejects.toThrow("not canonical");
  }
});

test("a token is accepted for 30 seconds after its end and before its beginning", async () => {
  const now = Math.floor(Date.now() / 1_000);
  const from = (seconds: number, claims = {}) =>
    inspect(issuer.token({ claims: { iat: now - 300, exp: now + seconds, ...claims } }));
  expect(await from(-28)).toBeDefined();
  await expect(from(-31)).rejects.toThrow("expired");
  expect(await from(300, { iat: now + 28, nbf: now + 28 })).toBeDefined();
  await expect(from(300, { iat: now + 33 })).rejects.toThrow("in the future");
  await expect(from(300, { nbf: now + 33 })).rejects.toThrow("not valid yet");
  expect(await from(86_400 - 300)).toBeDefined();
  await expect(from(86_401 - 300)).rejects.toThrow("24 hours");
});

test("a clock that is set back revives nothing", async () => {
  const own = jwtAuth({ issuer: name, audience, keys: jwks });
  const token = issuer.token();
  const credential = { scheme: "bearer", token } as const;
  vi.useFakeTimers({ toFake: ["Date"] });
  try {
    expect(await own.inspect(credential, peer)).toBeDefined();
    vi.setSystemTime(Date.now() + 331_000);
    await expect(own.inspect(credential, peer)).rejects.toThrow("expired");
    vi.setSystemTime(Date.now() - 3_600_000);
    await expect(own.inspect(credential, peer)).rejects.toThrow("expired");
  } finally {
    vi.useRealTimers();
  }
});

test("a token that is bound to a certificate is accepted only with it", async () => {
  using authority = new TestAuthority();
  const [own, other] = ["a", "b"].map((id) => {
    const { cert } = authority.issue({ names: [`URI:spiffe://acme.example/${id}`], seconds: 60 });
    const der = new X509Certificate(cert).raw;
    return { ...peer, certificate: { fingerprint: thumbprint(der), chain: [der] } };
  });
  const cnf = { "x5t#S256": own!.certificate.fingerprint };
  const token = issuer.token({ claims: { cnf } });
  const account = await inspect(token, own);
  expect(account).toMatchObject({ provenBy: "token+certificate", id: "user:ada" });
  // The certificate ends before the token.
  expect(account!.expiresAtMs).toBeLessThan(Date.now() + 61_000);
  await expect(inspect(token, other)).rejects.toThrow("does not have");
  await expect(inspect(token, peer)).rejects.toThrow("does not have");
  expect(await inspect(issuer.token(), own)).toMatchObject({ provenBy: "token" });
});

test("accounts end when the issuer removes their key", async () => {
  const folder = await mkdtemp(join(tmpdir(), "micro-jwt-"));
  const path = join(folder, "keys.json");
  const { EdDSA, ES256 } = issuer.keys;
  const write = (...keys: IssuedKey[]) =>
    writeFile(path, JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }));
  await write(EdDSA, ES256);
  const own = jwtAuth({ issuer: name, audience, jwks: path, refreshMs: 1_000 });
  try {
    const [removed, kept] = await Promise.all(
      [EdDSA, ES256].map((key) =>
        own.inspect({ scheme: "bearer", token: issuer.token({ key }) }, peer),
      ),
    );
    const ended: (readonly boolean[])[] = [];
    const stop = own.onRevoked?.((hasEnded) =>
      ended.push([removed, kept].map((it) => hasEnded(it!))),
    );
    await write(ES256);
    await expect.poll(() => ended).toEqual([[true, false]]);
    stop?.();
    const token = issuer.token({ key: EdDSA });
    await expect(own.inspect({ scheme: "bearer", token }, peer)).rejects.toThrow("no key");
  } finally {
    await own.close();
    await rm(folder, { recursive: true });
  }
});

test("scopes, type and actors come from the claims", async () => {
  const list = { scope: undefined, scopes: ["a", "b c"], type: "service" };
  expect(await inspect(issuer.token({ claims: list }))).toMatchObject({
    type: "service",
    scopes: new Set(["a", "b c"]),
  });
  const act = { sub: "service:order", iss: "https://o.example", act: { sub: "service:shop" } };
  expect(await inspect(issuer.token({ claims: { act } }))).toMatchObject({
    actor: {
      id: "service:order",
      issuer: "https://o.example",
      scopes: new Set(),
      actor: { id: "service:shop" },
    },
  });
  const own = (scopesOf: (claims: Readonly<Record<string, unknown>>) => unknown) =>
    jwtAuth({ issuer: name, audience, keys: jwks, scopesOf: scopesOf as () => string[] });
  const credential = {
    scheme: "bearer",
    token: issuer.token({ claims: { roles: ["admin"] } }),
  } as const;
  expect(await own(({ roles }) => roles).inspect(credential, peer)).toMatchObject({
    scopes: new Set(["admin"]),
  });
  await expect(own(() => "admin").inspect(credential, peer)).rejects.toMatchObject({
    code: "internal",
  });
});

test("the algorithms can be restricted", async () => {
  const own = jwtAuth({ issuer: name, audience, keys: jwks, algorithms: ["ES256"] });
  const { EdDSA, ES256 } = issuer.keys;
  const signed = (key: IssuedKey) =>
    own.inspect({ scheme: "bearer", token: issuer.token({ key }) }, peer);
  expect(await signed(ES256)).toBeDefined();
  await expect(signed(EdDSA)).rejects.toThrow("not one of ES256");
  expect(own.guarantees.algorithms).toEqual(["ES256"]);
});

test.each<[string, object, string]>([
  ["no issuer", { issuer: "" }, "issuer"],
  ["no audience", { audience: [] }, "audience"],
  ["an empty audience", { audience: ["stock", ""] }, "audience"],
  ["an audience that is a number", { audience: 1 }, "audience"],
  ["HS256", { algorithms: ["HS256"] }, "algorithms"],
  ["no algorithm", { algorithms: [] }, "algorithms"],
  ["keys and a place of keys", { jwks: "https://a.example/jwks" }, "not both"],
  ["no keys", { keys: [] }, "no key"],
  ["a refresh each millisecond", { refreshMs: 1 }, "refreshMs"],
  ["keys that are stale before they are refreshed", { maxStaleMs: 1_000 }, "maxStaleMs"],
  ["a profile that does not exist", { profile: "oidc" }, "profile"],
  ["an option that is misspelled", { audiences: "stock" }, "did you mean audience"],
])("options with %s are refused", (_, options, message) => {
  const given = { issuer: name, audience, keys: jwks, ...options };
  expect(() => jwtAuth(given)).toThrow(message);
  expect(() => jwtAuth(given)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
});

test("it neither issues nor revokes, and says where to", async () => {
  const own = jwtAuth({ issuer: name, audience, keys: jwks });
  const unimplemented = { code: "unimplemented", outcome: "not-executed" };
  await expect(own.generate("a")).rejects.toMatchObject(unimplemented);
  await expect(own.revoke({ account: "a" })).rejects.toMatchObject(unimplemented);
});
