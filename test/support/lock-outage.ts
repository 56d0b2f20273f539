import { setImmediate } from "node:timers/promises";
import type { Lock, Sync } from "@micro-es/runtime";
import { expect } from "vitest";
import type { FaultProxy } from "./proxy.ts";

/**
 * A lock can be renewed after its connection was lost during a renewal, without waiting for the
 * response to that.
 * @param sync connects through the proxy, and waits for a response longer than a test may take.
 * @returns how the renewal ended that was lost.
 */
export async function renewsAfterCut(
  proxy: FaultProxy,
  sync: Sync,
): Promise<PromiseSettledResult<unknown>> {
  const lock = await sync.lock("orders", { ttlMs: 600_000, renewal: "manual" });
  proxy.swallow(true);
  const renewal = lock.renew();
  await setImmediate();
  proxy.swallow(false);
  proxy.cut();
  const [lost] = await Promise.allSettled([renewal]);
  await expect.poll(() => sync.state).toBe("healthy");
  await lock.renew();
  expect(lock.held).toBe(true);
  expect(await lock.unlock()).toBe(true);
  return lost;
}

/** A process that waits for a lock whose connection is lost, and then the holder releases it. */
export interface CutWait {
  readonly holding: Sync;
  /** Connects through the proxy. */
  readonly waiting: Sync;
  readonly proxy: FaultProxy;
  /** Resolves when the connection may be lost. */
  readonly isWaiting?: () => Promise<unknown>;
  /** Called after the release. */
  readonly released?: () => Promise<unknown>;
}

/** A lock whose holder releases it while the waiting process is cut off is granted to that. */
export async function getsLockAfterCut(wait: CutWait): Promise<void> {
  const { holding, waiting, proxy, isWaiting, released } = wait;
  const lock = await holding.lock("orders", { ttlMs: 60_000 });
  const next = waiting.lock("orders", { ttlMs: 60_000 });
  await expect(waiting.lock("orders", { waitMs: 0 })).rejects.toMatchObject({
    code: "deadline_exceeded",
  });
  await isWaiting?.();
  proxy.cut();
  expect(await lock.unlock()).toBe(true);
  await released?.();
  expect((await next).token).toBeGreaterThan(lock.token);
}

/**
 * The holder of a lock is told when its server loses all data.
 * @param waitMs how long that may take once the server is back.
 * @returns the lock that was lost.
 */
export async function losesLock(
  server: { stop(): Promise<void>; wipe(): void; start(): Promise<void> },
  sync: Sync,
  { ttlMs, waitMs }: { readonly ttlMs: number; readonly waitMs: number },
): Promise<Lock> {
  const lock = await sync.lock("orders", { ttlMs });
  await server.stop();
  server.wipe();
  await server.start();
  await expect.poll(() => lock.signal.aborted, { timeout: waitMs }).toBe(true);
  expect(await lock.unlock()).toBe(false);
  return lock;
}
