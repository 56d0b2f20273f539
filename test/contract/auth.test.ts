import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryStore, silentLogger } from "@micro-es/runtime";
import { anyAuth, goMicroAuth, jwtAuth, localAuth } from "@micro-es/runtime/auth";
import { testAuth } from "@micro-es/runtime/testing";
import { describe, expect, test } from "vitest";
import { signedToken, TokenIssuer } from "../support/token-issuer.ts";
import { type AuthFixture, authContract } from "./auth.ts";

const issuer = new TokenIssuer();
const { issuer: name, audience, jwks } = issuer;
const { publicKey, privateKey } = issuer.keys.RS256;
const fleet = {
  namespace: "acme",
  publicKey: String(publicKey.export({ type: "spki", format: "pem" })),
};

const tokens = {
  issuer: name,
  token: async (id: string, scopes: readonly string[]) =>
    issuer.token({ claims: { sub: id, scope: scopes.join(" ") } }),
  expiredToken: async () => issuer.token({ claims: { iat: ago(600), exp: ago(300) } }),
};

function ago(seconds: number): number {
  return Math.floor(Date.now() / 1_000) - seconds;
}

/** A token as go-micro writes it. */
async function goToken(sub: string, scopes: readonly string[], exp = ago(-300)): Promise<string> {
  const claims = { type: "service", scopes, metadata: null, iss: "acme", sub, exp };
  const header = { alg: "RS256", typ: "JWT" };
  return signedToken(JSON.stringify(header), JSON.stringify(claims), issuer.keys.RS256);
}

const create: Record<string, () => Promise<AuthFixture>> = {
  "jwt with keys": async () => ({
    ...tokens,
    auth: jwtAuth({ issuer: name, audience, keys: jwks }),
  }),
  async "jwt with a file"() {
    const folder = await mkdtemp(join(tmpdir(), "micro-auth-"));
    const path = join(folder, "keys.json");
    await writeFile(path, JSON.stringify({ keys: jwks }));
    return {
      ...tokens,
      auth: jwtAuth({ issuer: name, audience, jwks: path }),
      cleanUp: () => rm(folder, { recursive: true }),
    };
  },
  "go-micro": async () => ({
    auth: goMicroAuth(fleet),
    issuer: "go-micro:acme",
    token: goToken,
    expiredToken: () => goToken("order", [], ago(300)),
  }),
  "go-micro with a private key": async () => ({
    auth: goMicroAuth({
      ...fleet,
      privateKey: String(privateKey.export({ type: "pkcs8", format: "pem" })),
    }),
    issuer: "go-micro:acme",
    expiredToken: () => goToken("order", [], ago(300)),
  }),
  any: async () => ({
    ...tokens,
    auth: anyAuth([goMicroAuth(fleet), jwtAuth({ issuer: name, audience, keys: jwks })]),
  }),
  async local() {
    const store = memoryStore();
    return {
      auth: localAuth({ store, issuer: "acme", logger: silentLogger }),
      issuer: "acme",
      cleanUp: () => store.close(),
    };
  },
  test: async () => ({ auth: testAuth(), issuer: "test" }),
};

describe.each(Object.entries(create))("auth %s", (_name, backend) => {
  for (const { name, run } of authContract(backend)) test(name, run);
});

test("the suite fails for an Auth that accepts a changed token", async () => {
  const failed: string[] = [];
  const lax = async (): Promise<AuthFixture> => {
    const fixture = { ...tokens, auth: jwtAuth({ issuer: name, audience, keys: jwks }) };
    const inspect = fixture.auth.inspect.bind(fixture.auth);
    fixture.auth.inspect = (credential, peer) =>
      inspect(credential && { ...credential, token: credential.token.trim() }, peer);
    return fixture;
  };
  for (const { name, run } of authContract(lax)) await run().catch(() => failed.push(name));
  expect(failed).toEqual(["refuses a token that was changed anywhere"]);
});
