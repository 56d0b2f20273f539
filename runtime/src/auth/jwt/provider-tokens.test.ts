import { expect, test } from "vitest";
import { TokenIssuer } from "../../../../test/support/token-issuer.ts";
import type { Peer } from "../../call/call.ts";
import { jwtAuth } from "./jwt-auth.ts";

const issuer = new TokenIssuer();
const peer: Peer = { address: "127.0.0.1:1", transport: "tcp" };
const { issuer: name, audience, jwks } = issuer;
const strict = jwtAuth({ issuer: name, audience, keys: jwks });
const provider = jwtAuth({ issuer: name, audience, keys: jwks, profile: "provider" });
const now = () => Math.floor(Date.now() / 1_000);

type Table = Readonly<Record<string, unknown>>;

/** A token with these claims and no others that an issuer need not state. */
function tokenOf(header: Table, claims: Table): string {
  const nothing = { jti: undefined, scope: undefined };
  return issuer.token({ key: issuer.keys.RS256, header, claims: { ...nothing, ...claims } });
}

const inspect = (auth: typeof strict, token: string) =>
  auth.inspect({ scheme: "bearer", token }, peer);

const jwt = { typ: "JWT" };
const untyped = { typ: undefined };
const client = "5f0c3c6e-web";

/** Access tokens as these providers issue them by default. */
const accessTokens: readonly [provider: string, header: Table, claims: Table, scopes: string[]][] =
  [
    [
      "Keycloak",
      jwt,
      { jti: "onrtac:8b1f", typ: "Bearer", azp: client, sid: "a", scope: "openid stock.write" },
      ["openid", "stock.write"],
    ],
    ["Auth0", jwt, { azp: client, scope: "openid stock.write" }, ["openid", "stock.write"]],
    ["Auth0 for a program, without scopes", jwt, { azp: client, gty: "client-credentials" }, []],
    ["Okta", untyped, { ver: 1, jti: "AT.x", cid: client, uid: "u", scp: ["a", "b"] }, ["a", "b"]],
    [
      "Microsoft Entra, version 2",
      jwt,
      { ver: "2.0", azp: client, azpacr: "0", scp: "stock.write", uti: "u", oid: "o" },
      ["stock.write"],
    ],
    [
      "Microsoft Entra for a program",
      jwt,
      { ver: "2.0", azp: client, azpacr: "1", roles: ["stock.write"], uti: "u" },
      [],
    ],
    ["Microsoft Entra, version 1", jwt, { ver: "1.0", appid: client, appidacr: "1" }, []],
    [
      "Amazon Cognito, with an audience",
      untyped,
      { token_use: "access", client_id: client, scope: "stock.write", jti: "j" },
      ["stock.write"],
    ],
    [
      "Ory Hydra",
      jwt,
      { client_id: client, jti: "j", ext: {}, scp: ["stock.write"] },
      ["stock.write"],
    ],
    ["a provider that states the client only", jwt, { client_id: client }, []],
    ["RFC 9068", { typ: "at+jwt" }, { client_id: audience, jti: "j", scope: "a" }, ["a"]],
  ];

test.each(accessTokens)(
  "profile provider: accepts access tokens of %s",
  async (_, header, claims, scopes) => {
    const account = await inspect(provider, tokenOf(header, claims));
    expect(account).toMatchObject({ id: "user:ada", provenBy: "token" });
    expect([...account!.scopes]).toEqual(scopes);
  },
);

test.each(accessTokens.filter(([, { typ }]) => typ !== "at+jwt"))(
  "the default profile refuses tokens of %s",
  async (_, header, claims) => {
    await expect(inspect(strict, tokenOf(header, claims))).rejects.toThrow("typ");
  },
);

test("the default profile requires jti, and profile provider does not", async () => {
  const token = tokenOf({ typ: "at+jwt" }, { scope: "a" });
  await expect(inspect(strict, token)).rejects.toThrow("jti");
  expect(await inspect(provider, token)).toBeDefined();
  for (const jti of ["", 1, "j".repeat(257)]) {
    await expect(inspect(provider, tokenOf(jwt, { scope: "a", jti }))).rejects.toThrow("jti");
  }
});

/** ID tokens whose audience is this service, because its name is also that of a client. */
const idTokens: readonly [of: string, header: Table, claims: Table][] = [
  ["the least that OpenID Connect requires", jwt, {}],
  ["the least, without a type", untyped, {}],
  ["Keycloak", jwt, { jti: "j", typ: "ID", azp: audience, at_hash: "h", sid: "s" }],
  ["Auth0", jwt, { nonce: "n", sid: "s", email: "ada@acme.example" }],
  ["Okta", untyped, { jti: "ID.x", ver: 1, amr: ["pwd"], auth_time: 1, at_hash: "h" }],
  ["Okta without at_hash", untyped, { jti: "ID.x", ver: 1, amr: ["pwd"], auth_time: 1 }],
  ["Microsoft Entra", jwt, { ver: "2.0", oid: "o", tid: "t", uti: "u", roles: ["stock.write"] }],
  ["Amazon Cognito", untyped, { token_use: "id", "cognito:username": "ada", jti: "j" }],
  ["Zitadel", jwt, { azp: audience, client_id: audience, at_hash: "h", auth_time: 1 }],
  ["a provider that states the client", jwt, { client_id: audience, azp: audience }],
  ["a provider that states scopes", jwt, { scope: "openid", nonce: "n" }],
  ["a hybrid flow", jwt, { scope: "openid", c_hash: "h" }],
  ["a provider that types them as access tokens", { typ: "at+jwt" }, { jti: "j", nonce: "n" }],
];

test.each(idTokens)("an ID token is refused: %s", async (_, header, claims) => {
  const token = tokenOf(header, { azp: audience, auth_time: now(), ...claims });
  await expect(inspect(provider, token)).rejects.toMatchObject({
    code: "unauthenticated",
    message: expect.stringMatching(/access token|token_use|claim typ/),
  });
});

test.each<[string, Table, Table]>([
  ["a refresh token of Keycloak", jwt, { typ: "Refresh", scope: "a" }],
  ["a logout token", jwt, { events: { "http://schemas.openid.net/event/backchannel-logout": {} } }],
  ["an ID token with a type of its own", { typ: "id+jwt" }, { scope: "a" }],
  ["a logout token with a type of its own", { typ: "logout+jwt" }, { scope: "a" }],
  ["a use that is a table", jwt, { token_use: {}, scope: "a" }],
])("other tokens of the provider are refused: %s", async (_, header, claims) => {
  await expect(inspect(provider, tokenOf(header, claims))).rejects.toMatchObject({
    code: "unauthenticated",
  });
});

test("without an audience, tokens are refused in every profile", async () => {
  const token = tokenOf(untyped, { aud: undefined, token_use: "access", scope: "a", jti: "j" });
  await expect(inspect(provider, token)).rejects.toThrow("aud");
});

test("scopes that are neither text nor a list are refused", async () => {
  for (const scp of [1, {}, [1], null]) {
    await expect(inspect(provider, tokenOf(jwt, { scp }))).rejects.toThrow("scp");
  }
});

test("roles of Microsoft Entra become scopes by a function", async () => {
  const own = jwtAuth({
    issuer: name,
    audience,
    keys: jwks,
    profile: "provider",
    scopesOf: ({ roles }) => (Array.isArray(roles) ? roles : []),
  });
  const token = tokenOf(jwt, { azp: client, azpacr: "1", roles: ["stock.write"] });
  expect([...(await inspect(own, token))!.scopes]).toEqual(["stock.write"]);
});
