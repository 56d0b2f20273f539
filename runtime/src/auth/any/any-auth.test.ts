import { expect, test } from "vitest";
import { TokenIssuer } from "../../../../test/support/token-issuer.ts";
import type { Peer } from "../../call/call.ts";
import type { Auth } from "../auth.ts";
import { jwtAuth } from "../jwt/jwt-auth.ts";
import { testAuth } from "../test/test-auth.ts";
import { anyAuth } from "./any-auth.ts";

const peer: Peer = { address: "127.0.0.1:1", transport: "tcp" };
const [acme, other] = [
  new TokenIssuer("https://acme.example"),
  new TokenIssuer("https://o.example"),
];
const verifying = ({ issuer, audience, jwks }: TokenIssuer) =>
  jwtAuth({ issuer, audience, keys: jwks });
const inspect = (auth: Auth, token: string) => auth.inspect({ scheme: "bearer", token }, peer);

test("the issuer of a token decides which Auth verifies it", async () => {
  const auth = anyAuth([verifying(acme), verifying(other), testAuth({ accounts: { ada: {} } })]);
  expect(await inspect(auth, acme.token())).toMatchObject({ issuer: "https://acme.example" });
  expect(await inspect(auth, other.token())).toMatchObject({ issuer: "https://o.example" });
  expect(await inspect(auth, "ada")).toMatchObject({ id: "ada", issuer: "test" });
  expect(await inspect(auth, new TokenIssuer("https://x.example").token())).toBeUndefined();
  expect(await auth.inspect(undefined, peer)).toBeUndefined();
  await auth.close();
});

test("what one has refused is not offered to the next", async () => {
  let asked = 0;
  const accepting = testAuth({ accounts: { admin: {} } });
  const admin = await inspect(accepting, "admin");
  accepting.inspect = async () => {
    asked++;
    return admin;
  };
  const auth = anyAuth([verifying(acme), accepting]);
  const token = acme.token();
  const bad = [
    acme.token({ claims: { exp: 1 } }),
    acme.token({ claims: { aud: "other" } }),
    other.token({ key: other.keys.EdDSA, claims: { iss: acme.issuer } }),
    token.slice(0, -1),
    `${token}.`,
    acme.token({ header: { jku: "https://evil.example" } }),
    acme.token({ claims: { iss: undefined } }),
    "",
    "a.b",
  ];
  for (const it of bad) {
    await expect(inspect(auth, it)).rejects.toMatchObject({ code: "unauthenticated" });
  }
  expect(asked).toBe(0);
  expect(await inspect(auth, "opaque")).toMatchObject({ id: "admin" });
});

test("an Auth whose keys are not known leaves none of its tokens to another", async () => {
  const lost = jwtAuth({ issuer: acme.issuer, audience: "stock", jwks: "http://127.0.0.1:1/jwks" });
  const auth = anyAuth([lost, verifying(acme)]);
  await auth.open?.();
  await expect(inspect(auth, acme.token())).rejects.toMatchObject({ code: "unavailable" });
  expect(auth.state).toBe("degraded");
  await auth.close();
});

test("it guarantees what all of them do, and issues by the first that can", async () => {
  const test = testAuth();
  const auth = anyAuth([verifying(acme), test]);
  expect(auth.guarantees).toEqual({
    issues: true,
    revokes: false,
    revocationMs: Number.POSITIVE_INFINITY,
    keyStalenessMs: Number.POSITIVE_INFINITY,
    algorithms: ["EdDSA", "ES256", "RS256"],
  });
  const { secret } = await auth.generate("order");
  const { accessToken } = await auth.token({ grant: "secret", id: "order", secret });
  const account = await inspect(auth, accessToken);
  expect(account).toMatchObject({ id: "order" });
  await expect(auth.revoke({ account: "order" })).rejects.toMatchObject({ code: "unimplemented" });
  const ended: boolean[] = [];
  const stop = auth.onRevoked?.((hasEnded) => ended.push(hasEnded(account!)));
  await test.revoke({ account: "order" });
  stop?.();
  await test.revoke({ account: "order" });
  expect(ended).toEqual([true]);
  await expect(anyAuth([verifying(acme)]).generate("a")).rejects.toMatchObject({
    code: "unimplemented",
  });
});

test("options that cannot be used are refused", () => {
  const refused = expect.objectContaining({ code: "invalid_argument" });
  expect(() => anyAuth([])).toThrow(refused);
  expect(() => anyAuth({} as Auth[])).toThrow(refused);
  expect(() => anyAuth([{} as Auth])).toThrow(refused);
});
