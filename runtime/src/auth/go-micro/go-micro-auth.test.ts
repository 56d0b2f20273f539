import { generateKeyPairSync } from "node:crypto";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  goMicroPublicKey,
  goMicroTokens,
  recordedAtMs,
} from "../../../../test/support/go-micro-tokens.ts";
import { otherSpellings, signedToken } from "../../../../test/support/token-issuer.ts";
import type { Peer } from "../../call/call.ts";
import type { Auth } from "../auth.ts";
import { goMicroAuth } from "./go-micro-auth.ts";

const peer: Peer = { address: "127.0.0.1:1", transport: "tcp" };
const base64 = (text: string) => Buffer.from(text).toString("base64");
const inspect = (auth: Auth, token: string) => auth.inspect({ scheme: "bearer", token }, peer);
const pem = { type: "spki", format: "pem" } as const;

const keys = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const publicKey = String(keys.publicKey.export(pem));
const privateKey = String(keys.privateKey.export({ type: "pkcs1", format: "pem" }));

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: recordedAtMs }));
afterEach(() => void vi.useRealTimers());

/** A token of the fleet, as go-micro writes it. */
function goToken(claims: object, header: object = {}): string {
  const exp = Math.floor(Date.now() / 1_000) + 900;
  const all = { type: "user", scopes: ["a"], metadata: null, iss: "go.micro", sub: "john", exp };
  return signedToken(
    JSON.stringify({ alg: "RS256", typ: "JWT", ...header }),
    JSON.stringify({ ...all, ...claims }),
    { kid: "", algorithm: "RS256", ...keys, jwk: {} },
  );
}

test.each([goMicroPublicKey, base64(goMicroPublicKey)])(
  "tokens of go-micro are verified",
  async (key) => {
    const auth = goMicroAuth({ namespace: "go.micro", publicKey: key });
    expect(await inspect(auth, goMicroTokens.service)).toMatchObject({
      id: "greeter",
      type: "service",
      issuer: "go-micro:go.micro",
      scopes: new Set(["stock.read", "stock.write"]),
      claims: { metadata: { region: "eu" } },
      provenBy: "token",
    });
    const bare = { id: "john", type: "service", scopes: new Set() };
    expect(await inspect(auth, goMicroTokens.bare)).toMatchObject(bare);
    // Of another namespace.
    expect(await inspect(auth, goMicroTokens.other)).toBeUndefined();
    vi.setSystemTime(recordedAtMs + 16 * 60_000);
    await expect(inspect(auth, goMicroTokens.service)).rejects.toThrow("expired");
    expect(await inspect(auth, goMicroTokens.bare)).toMatchObject(bare);
  },
);

test("a token of ten years is refused", async () => {
  const auth = goMicroAuth({ namespace: "other", publicKey: goMicroPublicKey });
  await expect(inspect(auth, goMicroTokens.other)).rejects.toThrow("24 hours");
});

test("other spellings and other keys are refused", async () => {
  const auth = goMicroAuth({ namespace: "go.micro", publicKey: goMicroPublicKey });
  for (const token of otherSpellings(goMicroTokens.service)) {
    await expect(inspect(auth, token)).rejects.toThrow("canonical");
  }
  await expect(inspect(auth, goToken({}))).rejects.toThrow("signature");
});

test.each<[string, object, object?]>([
  ["no end", { exp: undefined }],
  ["an end that is a text", { exp: "1796081495" }],
  ["no account", { sub: "" }],
  ["an audience that is not known here", { aud: "stock" }],
  ["scopes that are a text", { scopes: "a" }],
  ["HS256", {}, { alg: "HS256" }],
  ["none", {}, { alg: "none" }],
  ["the id of a key", {}, { kid: "1" }],
  ["the type of other tokens", {}, { typ: "at+jwt" }],
])("a token with %s is refused", async (_, claims, header) => {
  const auth = goMicroAuth({ namespace: "go.micro", publicKey });
  expect(await inspect(auth, goToken({}))).toBeDefined();
  await expect(inspect(auth, goToken(claims, header))).rejects.toMatchObject({
    code: "unauthenticated",
    outcome: "not-executed",
  });
});

test("tokens are issued to the fleet, for five minutes and one audience", async () => {
  const auth = goMicroAuth({ namespace: "acme", publicKey, privateKey: base64(privateKey) });
  const { secret, issuer } = await auth.generate("greeter", {
    scopes: ["stock.read", "stock.write"],
    claims: { region: "eu" },
  });
  expect(issuer).toBe("go-micro:acme");
  const grant = { grant: "secret", id: "greeter", secret } as const;
  const token = await auth.token({ ...grant, ttlMs: 3_600_000, scopes: ["stock.read"] });
  expect(token.expiresAtMs - Date.now()).toBeLessThanOrEqual(300_000);
  const [header, claims] = token.accessToken
    .split(".")
    .map((part) => Buffer.from(part, "base64url").toString());
  expect(JSON.parse(header!)).toEqual({ alg: "RS256", typ: "JWT" });
  // What Go's authClaims has, and nothing else.
  expect(JSON.parse(claims!)).toEqual({
    type: "service",
    scopes: ["stock.read"],
    metadata: { region: "eu" },
    iss: "acme",
    sub: "greeter",
    exp: token.expiresAtMs / 1_000,
  });
  expect(await inspect(auth, token.accessToken)).toMatchObject({ id: "greeter" });
  await expect(auth.token({ ...grant, audience: ["a", "b"] })).rejects.toThrow("one audience");
  const forStock = await auth.token({ ...grant, audience: "stock" });
  await expect(inspect(auth, forStock.accessToken)).rejects.toThrow("no audience");
  const stock = goMicroAuth({ namespace: "acme", publicKey, audience: "stock" });
  expect(await inspect(stock, forStock.accessToken)).toMatchObject({ id: "greeter" });
});

test("a token never serves as a secret, and a secret never as a token", async () => {
  const auth = goMicroAuth({ namespace: "acme", publicKey, privateKey });
  const { secret } = await auth.generate("greeter");
  const { accessToken } = await auth.token({ grant: "secret", id: "greeter", secret });
  await expect(
    auth.token({ grant: "secret", id: "greeter", secret: accessToken }),
  ).rejects.toMatchObject({ code: "unauthenticated" });
  await expect(auth.token({ grant: "refresh", refreshToken: accessToken })).rejects.toMatchObject({
    code: "unimplemented",
  });
  expect(await inspect(auth, secret)).toBeUndefined();
});

const small = generateKeyPairSync("rsa", { modulusLength: 1_024 });
const elliptic = generateKeyPairSync("ec", { namedCurve: "P-256" });

test.each<[string, object, string]>([
  ["no key", { publicKey: "" }, "publicKey"],
  ["a text", { publicKey: "secret-text" }, "publicKey"],
  ["1024 bits", { publicKey: small.publicKey.export(pem) }, "1024 bits"],
  ["an elliptic curve", { publicKey: elliptic.publicKey.export(pem) }, "RSA"],
  ["the private key of another", { publicKey: goMicroPublicKey, privateKey }, "not the private"],
  ["no namespace", { publicKey, namespace: "" }, "namespace"],
])("options with %s are refused, and not shown", (_, options, message) => {
  const given = { namespace: "acme", publicKey, ...options };
  expect(() => goMicroAuth(given)).toThrow(message);
  expect(() => goMicroAuth(given)).not.toThrow(/secret-text|BEGIN/);
});
