import { compactVerify, importJWK, jwtVerify } from "jose";
import { expect, test } from "vitest";
import { otherSpellings, TokenIssuer } from "../../../../test/support/token-issuer.ts";
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
