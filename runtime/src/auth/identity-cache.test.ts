import { afterEach, expect, test, vi } from "vitest";
import { turnNow } from "../base/deadline.ts";
import type { Account, Credential } from "../call/account.ts";
import type { Peer } from "../call/call.ts";
import { IdentityCache } from "./identity-cache.ts";
import { invalidCredential } from "./refusals.ts";

const account: Account = {
  id: "ada",
  type: "user",
  issuer: "test",
  scopes: new Set(),
  claims: {},
  expiresAtMs: Number.POSITIVE_INFINITY,
  provenBy: "token",
};

/** The calls of a connection present the same object. */
const credential: Credential = { scheme: "bearer", token: "token-of-ada" };

function peerWith(fingerprint?: string): Peer {
  const certificate = fingerprint === undefined ? undefined : { fingerprint, chain: [] };
  return { address: "127.0.0.1:1", transport: "http", certificate };
}

afterEach(() => vi.restoreAllMocks());

/** Moves the clock of deadlines. */
async function afterMs(ms: number): Promise<void> {
  const now = performance.now() + ms;
  vi.spyOn(performance, "now").mockReturnValue(now);
  // A turn keeps the time at which it began.
  await new Promise((resolve) => setImmediate(resolve));
  expect(turnNow()).toBe(now);
}

test("the calls of a connection inspect their credential once", async () => {
  const inspect = vi.fn(async () => account);
  const cache = new IdentityCache(inspect);
  const peer = peerWith();
  const first = await cache.get(credential, peer);
  for (let call = 0; call < 3; call++) expect(cache.get(credential, peer)).toBe(first);
  expect(cache.get({ ...credential }, peer)).toBe(first);
  expect(inspect).toHaveBeenCalledTimes(1);
});

test("a credential proves nothing on a connection with another certificate", async () => {
  const cache = new IdentityCache(async (_, { certificate }) => {
    if (certificate?.fingerprint === "ada") return account;
    throw invalidCredential("it is bound to another certificate");
  });
  const own = peerWith("ada");
  const known = await cache.get(credential, own);
  expect(cache.get(credential, own)).toBe(known);
  for (const other of [peerWith("eve"), peerWith()]) {
    await expect(cache.get(credential, other)).rejects.toThrow("bound to another certificate");
  }
  expect(cache.get(credential, own)).toBe(known);
});

test("a credential is inspected again after a minute, and may be invalid by then", async () => {
  const inspect = vi.fn(async () => account);
  const cache = new IdentityCache(inspect);
  const peer = peerWith();
  const known = await cache.get(credential, peer);
  expect(cache.get(credential, peer)).toBe(known);
  expect(cache.get(credential, peer)).toBe(known);

  await afterMs(61_000);
  expect(await cache.get(credential, peer)).toBe(known);
  expect(inspect).toHaveBeenCalledTimes(2);
  expect(cache.get(credential, peer)).toBe(known);

  await afterMs(61_000);
  inspect.mockRejectedValue(invalidCredential("it was revoked"));
  await expect(cache.get(credential, peer)).rejects.toThrow("it was revoked");
  expect(known?.ended).toMatchObject({ code: "unauthenticated" });
});

test("nothing is known after the cache was cleared", async () => {
  const inspect = vi.fn(async () => account);
  const cache = new IdentityCache(inspect);
  const peer = peerWith();
  await cache.get(credential, peer);
  cache.get(credential, peer);
  cache.clear();
  await cache.get(credential, peer);
  expect(inspect).toHaveBeenCalledTimes(2);
});
