import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { SignJWT } from "jose";
import { afterAll, beforeAll, expect, test } from "vitest";
import { silentLogger } from "../../base/logger.ts";
import { memoryStore } from "../../store/memory/store.ts";
import { localAuth } from "./local-auth.ts";

const store = memoryStore();
const auth = localAuth({ store, issuer: "acme", logger: silentLogger });
const server = createServer(auth.serveTokens);
const { publicKey, privateKey } = generateKeyPairSync("ed25519");
let url = "";
let secret = "";
let userSecret = "";
beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
  ({ secret } = await auth.generate("order", { scopes: ["a", "b"] }));
  ({ secret: userSecret } = await auth.generate("user:ada", { type: "user", scopes: ["a"] }));
  await auth.register("keyed", publicKey.export({ format: "jwk" }));
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await auth.close();
  await store.close();
});

interface TokenResponse {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly token_type: string;
  readonly issued_token_type: string;
  readonly scope: string;
  readonly expires_in: number;
  readonly error: string;
}

async function post(parameters: Record<string, string> | string, headers: object = {}) {
  const body = typeof parameters === "string" ? parameters : new URLSearchParams(parameters);
  const type = { "content-type": "application/x-www-form-urlencoded" };
  const response = await fetch(url, { method: "POST", body, headers: { ...type, ...headers } });
  const json = (await response.json()) as TokenResponse;
  return { status: response.status, headers: response.headers, json };
}

function basic(id: string, password: string) {
  const pair = `${encodeURIComponent(id)}:${encodeURIComponent(password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString("base64")}` };
}

async function accountOf(token: string) {
  return await auth.inspect(
    { scheme: "bearer", token },
    { address: "127.0.0.1:1", transport: "tcp" },
  );
}

test("grants a token to a secret in the header or the body", async () => {
  const inHeader = await post(
    { grant_type: "client_credentials", scope: "a", audience: "acme" },
    basic("order", secret),
  );
  expect(inHeader.status).toBe(200);
  expect(inHeader.headers.get("cache-control")).toBe("no-store");
  expect(inHeader.json).toMatchObject({ token_type: "Bearer", scope: "a" });
  expect(inHeader.json.expires_in).toBeLessThanOrEqual(300);
  expect((await accountOf(inHeader.json.access_token))?.id).toBe("order");
  const client = { client_id: "order", client_secret: secret };
  const inBody = await post({ grant_type: "client_credentials", ...client });
  expect(inBody.json.scope).toBe("a b");
});

test("grants a token to an assertion, a refresh token and another token", async () => {
  const client_assertion = await new SignJWT({ iss: "keyed", sub: "keyed", aud: "acme" })
    .setJti(randomUUID())
    .setProtectedHeader({ alg: "EdDSA" })
    .setIssuedAt()
    .setExpirationTime("60 s")
    .sign(privateKey);
  const keyed = await post({
    grant_type: "client_credentials",
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion,
  });
  expect((await accountOf(keyed.json.access_token))?.id).toBe("keyed");
  const user = await post({ grant_type: "client_credentials" }, basic("user:ada", userSecret));
  const { refresh_token, access_token } = user.json;
  const refreshed = await post({ grant_type: "refresh_token", refresh_token });
  expect(refreshed.json.refresh_token).not.toBe(refresh_token);
  const exchanged = await post({
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token: access_token,
    actor_token: keyed.json.access_token,
    audience: "acme",
  });
  expect(exchanged.json.issued_token_type).toMatch(/access_token$/);
  expect(await accountOf(exchanged.json.access_token)).toMatchObject({
    id: "user:ada",
    actor: { id: "keyed" },
  });
});

test("refuses the rest in the words of OAuth, and never by a stack", async () => {
  const grant = { grant_type: "client_credentials" };
  const cases: [Awaited<ReturnType<typeof post>>, number, string][] = [
    [await post(grant, basic("order", "wrong")), 401, "invalid_client"],
    [await post(grant, { authorization: "Bearer x" }), 401, "invalid_client"],
    [await post({ ...grant, scope: "admin" }, basic("order", secret)), 400, "invalid_scope"],
    [await post({ grant_type: "password" }), 400, "unsupported_grant_type"],
    [await post("grant_type=refresh_token&grant_type=x"), 400, "invalid_request"],
    [await post({ ...grant, audience: "a b" }, basic("order", secret)), 400, "invalid_request"],
    [await post("x", { "content-type": "application/json" }), 400, "invalid_request"],
  ];
  for (const [{ status, json }, expected, error] of cases) {
    expect([status, json.error]).toEqual([expected, error]);
    expect(JSON.stringify(json)).not.toMatch(/\bat \S+:\d+/);
  }
  expect((await fetch(url)).status).toBe(405);
});
