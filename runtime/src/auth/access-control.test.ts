import { expect, test } from "vitest";
import { methods } from "../../../test/auth/guarded-server.ts";
import { TokenAuth } from "../../../test/auth/token-auth.ts";
import { deadlineAfter } from "../base/deadline.ts";
import { MicroError } from "../base/error.ts";
import { silentLogger } from "../base/logger.ts";
import type { Account } from "../call/account.ts";
import { ServerCall } from "../call/call.ts";
import { ConnectionPeer } from "../call/connection-peer.ts";
import { AccessControl } from "./access-control.ts";
import type { Rule, Rules } from "./auth.ts";
import { invalidCredential } from "./refusals.ts";
import { RuleSet } from "./rule-set.ts";

const peer = { address: "127.0.0.1:1", transport: "tcp" };

const account: Account = {
  id: "ada",
  type: "user",
  issuer: "test",
  scopes: new Set(),
  claims: {},
  expiresAtMs: Number.POSITIVE_INFINITY,
  provenBy: "token",
};

const denial: Rule = {
  id: "denied",
  access: "denied",
  priority: 0,
  resource: { type: "method", name: "*" },
  subject: {},
};

/** Rules that become those given, once. */
function changingRules(next: readonly Rule[]): { rules: Rules; change(): void } {
  let set = new RuleSet();
  let listener = () => {};
  const rules: Partial<Rules> = {
    verify: (...of) => set.verify(...of),
    scopesOf: () => [],
    onChange(told) {
      listener = told;
      return () => {};
    },
  };
  const change = () => {
    set = new RuleSet(next);
    listener();
  };
  return { rules: rules as Rules, change };
}

async function openStream(
  access: AccessControl,
  auth: TokenAuth,
  inspected: Account,
): Promise<ServerCall> {
  auth.inspect = async () => inspected;
  const identity = await access.identify({ scheme: "bearer", token: inspected.id }, peer);
  const call = new ServerCall(methods.watch, peer, undefined, deadlineAfter(60_000));
  call.admit(identity);
  access.opened(call);
  return call;
}

test("a change of the rules ends a stream whose credential has just expired", async () => {
  const { rules, change } = changingRules([denial]);
  const auth = new TokenAuth();
  await using access = new AccessControl({ auth, rules, logger: silentLogger });
  const expired = { ...account, expiresAtMs: Date.now() - 1 };
  const call = await openStream(access, auth, expired);
  expect(call.cancelled).toBeUndefined();
  change();
  expect(call.cancelled).toMatchObject({ code: "permission_denied", outcome: "unknown" });
});

test("a stream ends when its credential is found to be no longer valid", async () => {
  const auth = new TokenAuth();
  await using access = new AccessControl({ auth, logger: silentLogger });
  const call = await openStream(access, auth, account);
  // As after the inspection of a credential that was remembered for a while.
  Object.assign(call.identity!, { ended: new MicroError("unauthenticated", "no longer valid") });
  await expect.poll(() => call.cancelled?.code, { timeout: 5_000 }).toBe("unauthenticated");
});

/** An auth that verifies `valid…` only, and waits for `slow…` until it is released. */
function pickyAuth() {
  const auth = new TokenAuth();
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  auth.inspect = async (credential) => {
    const token = credential?.token ?? "";
    if (token.startsWith("slow")) await released;
    if (token.startsWith("valid")) return account;
    throw invalidCredential("it is not valid");
  };
  return { auth, release };
}

const connect = () => new ConnectionPeer("127.0.0.1:1", "tcp");
const bearer = (token: string) => ({ scheme: "bearer", token }) as const;

test("a connection with many invalid credentials gets no further one verified, and others do", async () => {
  const { auth } = pickyAuth();
  await using access = new AccessControl({ auth, logger: silentLogger });
  const [hostile, other] = [connect(), connect()];
  await access.identify(bearer("valid-known"), hostile);
  for (let i = 0; i < 101; i++) {
    const refused = Promise.resolve(access.identify(bearer(`bad-${i}`), hostile));
    await expect(refused).rejects.toMatchObject({ code: "unauthenticated" });
  }
  expect(() => access.identify(bearer("bad-101"), hostile)).toThrow("at the moment");
  expect(() => access.identify(bearer("valid-new"), hostile)).toThrow("at the moment");
  expect(await access.identify(bearer("valid-new"), other)).toBeDefined();
  // A proxy sends the calls of many callers on one connection: valid ones count for it.
  expect(await access.identify(bearer("valid-known"), hostile)).toBeDefined();
  await access.identify(bearer("valid-known"), hostile);
  expect(await access.identify(bearer("valid-other"), hostile)).toBeDefined();
});

test("connections with invalid credentials do not take all places for verification", async () => {
  const { auth, release } = pickyAuth();
  await using access = new AccessControl({ auth, logger: silentLogger });
  const refusals: Promise<unknown>[] = [];
  for (let i = 0; i < 100; i++) {
    const hostile = connect();
    await expect(access.identify(bearer(`bad-${i}`), hostile)).rejects.toThrow("credential");
    for (let j = 0; j < 100; j++) {
      const identify = async () => access.identify(bearer(`slow-${i}-${j}`), hostile);
      refusals.push(identify().catch((reason) => reason));
    }
  }
  expect(await access.identify(bearer("valid"), connect())).toBeDefined();
  release();
  const codes = (await Promise.all(refusals)).map((reason) => (reason as MicroError).code);
  expect(new Set(codes)).toEqual(new Set(["unauthenticated", "resource_exhausted"]));
});
