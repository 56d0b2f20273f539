import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { importJWK, jwtVerify } from "jose";
import { afterAll, expect, test } from "vitest";
import { badTokens } from "../../../../test/support/bad-tokens.ts";
import { inCi } from "../../../../test/support/long.ts";
import { TokenIssuer } from "../../../../test/support/token-issuer.ts";
import type { Peer } from "../../call/call.ts";
import { jwtAuth } from "./jwt-auth.ts";

const issuer = new TokenIssuer();
const peer: Peer = { address: "127.0.0.1:1", transport: "tcp" };
const { issuer: name, audience, jwks } = issuer;

/** Counts connections: what a token says must never lead to one. */
let connections = 0;
const trap = createServer((_, response) => response.end("{}"));
trap.on("connection", () => connections++);
await new Promise<void>((resolve) => trap.listen(0, "127.0.0.1", resolve));
const trapUrl = `http://127.0.0.1:${(trap.address() as AddressInfo).port}/keys`;

let keySetReads = 0;
const issuerServer = createServer((_, response) => {
  keySetReads++;
  response.end(JSON.stringify({ keys: jwks }));
});
await new Promise<void>((resolve) => issuerServer.listen(0, "127.0.0.1", resolve));
const auth = jwtAuth({
  issuer: name,
  audience,
  jwks: `http://127.0.0.1:${(issuerServer.address() as AddressInfo).port}/jwks`,
});

afterAll(async () => {
  await auth.close();
  trap.close();
  issuerServer.close();
});

/** Whether the token proves an account; throws what is not a refusal. */
async function isAccepted(token: string, by = auth): Promise<boolean> {
  try {
    return (await by.inspect({ scheme: "bearer", token }, peer)) !== undefined;
  } catch (error) {
    expect(error).toMatchObject({ code: "unauthenticated", outcome: "not-executed" });
    if (token.length > 20) expect((error as Error).message).not.toContain(token);
    return false;
  }
}

const bad = badTokens(issuer, trapUrl);

test("every bad token is refused, without a request", async () => {
  expect(bad.length).toBeGreaterThan(250);
  expect(await isAccepted(issuer.token())).toBe(true);
  const accepted: string[] = [];
  for (const { name, token } of bad) if (await isAccepted(token)) accepted.push(name);
  expect(accepted).toEqual([]);
  expect(connections).toBe(0);
  // For the ids of keys that do not exist, one more at most.
  expect(keySetReads).toBeLessThanOrEqual(2);
});

test("the profile of providers accepts their differences from RFC 9068, and nothing else", async () => {
  const lenient = jwtAuth({ issuer: name, audience, keys: jwks, profile: "provider" });
  const accepted: string[] = [];
  for (const { name, token } of bad) if (await isAccepted(token, lenient)) accepted.push(name);
  expect(accepted).toEqual([
    "typ undefined",
    'typ ""',
    'typ "JWT"',
    'typ "jwt"',
    "jti undefined, number 0",
    'scope ["stock.read"], number 3',
    'scopes "stock.read"',
  ]);
});

test("the table has tokens that jose accepts with its defaults", async () => {
  const { EdDSA } = issuer.keys;
  const key = await importJWK(EdDSA.jwk, "EdDSA");
  const accepted: string[] = [];
  for (const { name, token } of bad) {
    await jwtVerify(token, key, { issuer: issuer.issuer, audience }).then(
      () => accepted.push(name),
      () => undefined,
    );
  }
  expect(accepted).toContain("a line break after");
  expect(accepted.some((it) => it.startsWith("jti undefined"))).toBe(true);
  expect(accepted.filter((it) => it.startsWith("EdDSA: another last character"))).toHaveLength(15);
  expect(accepted.filter((it) => it.startsWith("cnf")).length).toBeGreaterThan(3);
  expect(accepted.filter((it) => / twice/.test(it)).length).toBeGreaterThan(3);
});

/** Long: 200 tokens, and some 100,000 changes; the long form of AU4 has five times as many. */
const tokens = inCi ? 40 : 6;

test(`no byte of ${tokens} tokens can be changed`, { timeout: 900_000 }, async () => {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const keys = Object.values(issuer.keys);
  for (let i = 0; i < tokens; i++) {
    const token = issuer.token({ key: keys[i % keys.length]!, claims: { sub: `user:${i}` } });
    expect(await isAccepted(token)).toBe(true);
    const changed = [...token].map((character, at) => {
      const other = alphabet[(alphabet.indexOf(character) + 1 + ((i * 7 + at) % 62)) % 64]!;
      return `${token.slice(0, at)}${other}${token.slice(at + 1)}`;
    });
    const accepted = await Promise.all(changed.map((it) => isAccepted(it)));
    expect(accepted.indexOf(true)).toBe(-1);
  }
});
