import { natsStore, natsSync } from "@micro-es/nats";
import type { Account } from "@micro-es/runtime";
import { silentLogger } from "@micro-es/runtime";
import type { Rule } from "@micro-es/runtime/auth";
import { type LocalAuth, localAuth, storeRules } from "@micro-es/runtime/auth";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type NatsServer, skipWithoutNats, startNats } from "./server.ts";

const reserve = { type: "method", name: "acme.stock.v1.StockService/Reserve" } as const;
const granted: Rule = { id: "r1", access: "granted", priority: 0, resource: reserve, subject: {} };

function inspect(auth: LocalAuth, token: string): Promise<Account | undefined> {
  const peer = { address: "127.0.0.1:1", transport: "tcp" };
  return Promise.resolve(auth.inspect({ scheme: "bearer", token }, peer));
}

describe.skipIf(skipWithoutNats)("auth in a NATS bucket", () => {
  let server: NatsServer;
  let buckets = 0;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server?.close());

  const options = { issuer: "acme", logger: silentLogger };

  test("processes know each other's accounts, keys, revocations and rules in a second", async () => {
    const bucket = `auth-${buckets++}`;
    await using one = natsStore({ servers: server.url, bucket });
    await using other = natsStore({ servers: server.url, bucket });
    await using sync = natsSync({ servers: server.url });
    await using issuer = localAuth({ ...options, store: one, sync });
    await using verifier = localAuth({ ...options, store: other });
    await using ownRules = storeRules({ store: one, logger: silentLogger });
    await using rules = storeRules({ store: other, logger: silentLogger });
    await Promise.all([issuer.open(), verifier.open(), ownRules.open?.(), rules.open?.()]);
    const { secret } = await issuer.generate("order", { scopes: ["stock.write"] });
    const grant = { grant: "secret", id: "order", secret } as const;
    const { accessToken } = await issuer.token(grant);
    const account = (await inspect(verifier, accessToken))!;
    expect([...account.scopes]).toEqual(["stock.write"]);
    expect((await inspect(issuer, (await verifier.token(grant)).accessToken))?.id).toBe("order");
    const ended: boolean[] = [];
    verifier.onRevoked((hasEnded) => ended.push(hasEnded(account)));
    await issuer.revoke({ account: "order" });
    await ownRules.grant(granted);
    await expect.poll(() => ended, { timeout: 1_000 }).toContain(true);
    await expect
      .poll(() => rules.verify(undefined, reserve), { timeout: 1_000 })
      .toEqual({ access: "granted", rule: "r1" });
    await expect(inspect(verifier, accessToken)).rejects.toThrow(/revoked/);
  });

  test("a refresh token is used once by two processes at once", async () => {
    const bucket = `auth-${buckets++}`;
    await using one = natsStore({ servers: server.url, bucket });
    await using other = natsStore({ servers: server.url, bucket });
    await using first = localAuth({ ...options, store: one });
    await using second = localAuth({ ...options, store: other });
    const { secret } = await first.generate("ada", { type: "user" });
    const { refreshToken } = await first.token({ grant: "secret", id: "ada", secret });
    const uses = await Promise.allSettled(
      Array.from({ length: 100 }, (_, index) =>
        (index % 2 === 0 ? first : second).token({
          grant: "refresh",
          refreshToken: refreshToken!,
        }),
      ),
    );
    const successes = uses.flatMap((use) => (use.status === "fulfilled" ? [use.value] : []));
    expect(successes).toHaveLength(1);
    await expect(
      first.token({ grant: "refresh", refreshToken: successes[0]!.refreshToken! }),
    ).rejects.toMatchObject({ code: "unauthenticated" });
  });

  test("a lost connection leaves keys and rules in force, and misses no revocation", async () => {
    const bucket = `auth-${buckets++}`;
    await using proxy = await FaultProxy.start(server.port);
    await using direct = natsStore({ servers: server.url, bucket });
    await using issuer = localAuth({ ...options, store: direct });
    await using ownRules = storeRules({ store: direct, logger: silentLogger });
    await using distant = natsStore({ servers: `nats://127.0.0.1:${proxy.port}`, bucket });
    await using verifier = localAuth({ ...options, store: distant });
    await using rules = storeRules({ store: distant, logger: silentLogger });
    const { secret } = await issuer.generate("order");
    const { accessToken } = await issuer.token({ grant: "secret", id: "order", secret });
    await ownRules.grant(granted);
    await Promise.all([verifier.open(), rules.open?.()]);
    expect((await inspect(verifier, accessToken))?.id).toBe("order");
    proxy.refuse(true);
    proxy.cut();
    await expect.poll(() => verifier.state).toBe("degraded");
    await expect.poll(() => rules.state).toBe("degraded");
    expect((await inspect(verifier, accessToken))?.id).toBe("order");
    expect(rules.verify(undefined, reserve)?.access).toBe("granted");
    await issuer.revoke({ account: "order" });
    await ownRules.grant({ ...granted, access: "denied" });
    proxy.refuse(false);
    await expect
      .poll(() => inspect(verifier, accessToken).catch((error) => error.code))
      .toBe("unauthenticated");
    await expect.poll(() => rules.verify(undefined, reserve)?.access).toBe("denied");
    await expect.poll(() => [verifier.state, rules.state]).toEqual(["healthy", "healthy"]);
  });
});
