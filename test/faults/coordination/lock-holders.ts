import { setTimeout as sleep } from "node:timers/promises";
import { startProgram } from "../../support/argument-program.ts";
import { FaultProxy } from "../../support/proxy.ts";
import { checkTerms, type Term } from "../check-terms.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import { type Flaw, type StartCoordinationServer, syncAt, through } from "./server.ts";

/**
 * Holders lose their link or are suspended, while others wait for their locks.
 * @param flaw changes the syncs of the holders, to prove that this is noticed.
 */
export async function holdersCutOff(
  startServer: StartCoordinationServer,
  length: Length,
  flaw?: Flaw,
): Promise<Figure> {
  const sizes = { short: [40, 5], long: [500, 50] } as const;
  const [cuts, pauses] = flaw === undefined ? sizes[length] : [10, 1];
  const ttlMs = 600;
  await using server = await startServer();
  await using waiting = syncAt(server.url);
  let closest = Number.POSITIVE_INFINITY;
  let [overlaps, untold] = [0, 0];
  const holders = 10;
  const cutOff = async (holder: number) => {
    await using proxy = await FaultProxy.start(server.port);
    await using holding = syncAt(through(server, proxy.port));
    const sync = flaw?.(holding) ?? holding;
    for (let cut = 0; cut < cuts / holders; cut++) {
      const id = `lock ${holder}/${cut}`;
      const lock = await sync.lock(id, { ttlMs });
      const from = performance.now();
      const told = new Promise<number>((resolve) => {
        const { signal } = lock;
        if (signal.aborted) resolve(performance.now());
        else signal.addEventListener("abort", () => resolve(performance.now()));
      });
      const next = waiting.lock(id, { ttlMs, waitMs: 20_000 }).then(async (granted) => {
        const at = performance.now();
        await granted.unlock();
        return { token: Number(granted.token), from: at, to: at };
      });
      await sleep(Math.random() * ttlMs);
      proxy.swallow(true);
      const terms: Term[] = [await next];
      const to = await Promise.race([told, sleep(2 * ttlMs, Number.POSITIVE_INFINITY)]);
      if (to === Number.POSITIVE_INFINITY) untold++;
      terms.push({ token: Number(lock.token), from, to });
      const figures = checkTerms(terms);
      overlaps += figures.overlaps + figures.staleTokens;
      closest = Math.min(closest, figures.shortestGapMs);
      proxy.swallow(false);
      proxy.cut();
      await lock.unlock();
      const isBack = async () => {
        await sync.leader("unused");
        return true;
      };
      await until(isBack, 20_000, 20);
    }
  };
  await Promise.all(Array.from({ length: holders }, (_, holder) => cutOff(holder)));
  for (let pause = 0; pause < pauses; pause++) {
    const lock = await waiting.lock(`pause ${pause}`, { ttlMs: 200 });
    standStill(400);
    // Its next line after the pause, before any timer could fire.
    if (lock.held || !lock.signal.aborted) untold++;
  }
  return {
    id: "S2",
    recipe: `${cuts} holders cut off from the server and ${pauses} that were paused, with a ttl of ${ttlMs} ms`,
    found: `${untold} not notified, ${overlaps} notified after another had the lock, ${Math.round(closest)} ms between the two at least`,
    bound: "0, 0, more than 0 ms",
    holds: untold === 0 && overlaps === 0 && closest > 0,
  };
}

/** Suspends this process as a signal or garbage collection would. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/**
 * Holders are killed, and two hundred callers are queued.
 * @param flaw changes the sync of those who wait, to prove that this is noticed.
 */
export async function holdersKilled(
  startServer: StartCoordinationServer,
  length: Length,
  flaw?: Flaw,
): Promise<Figure> {
  const sizes = { short: [4, 200], long: [40, 200] } as const;
  const [kills, waiters] = flaw === undefined ? sizes[length] : [0, 20];
  const ttlMs = 1_000;
  await using server = await startServer();
  await using waiting = syncAt(server.url);
  const sync = flaw?.(waiting) ?? waiting;
  let slowest = 0;
  for (let kill = 0; kill < kills; kill++) {
    const id = `lock ${kill}`;
    const holder = await startProgram(new URL("lock-holder.ts", import.meta.url).href, {
      url: server.url,
      id,
      ttlMs,
    });
    const next = sync.lock(id, { ttlMs });
    await sleep(Math.random() * ttlMs);
    await holder.kill();
    const killed = performance.now();
    const lock = await next;
    slowest = Math.max(slowest, performance.now() - killed);
    await lock.unlock();
  }
  const first = await sync.lock("line", { ttlMs: 30_000 });
  const order: number[] = [];
  let inversions = 0;
  const line = Array.from({ length: waiters }, async (_, place) => {
    const lock = await sync.lock("line", { ttlMs: 30_000 });
    if (place < (order.at(-1) ?? -1)) inversions++;
    order.push(place);
    await lock.unlock();
  });
  await sleep(100);
  await first.unlock();
  await Promise.all(line);
  return {
    id: "S3",
    recipe: `${kills} holders with a ttl of ${ttlMs} ms killed; ${waiters} waiters of one process`,
    found: `the next had the lock ${Math.round(slowest)} ms later at most; ${order.length} of ${waiters} served, ${inversions} out of order`,
    bound: `at most ${ttlMs + 1_000} ms; ${waiters}, 0`,
    holds: slowest <= ttlMs + 1_000 && order.length === waiters && inversions === 0,
  };
}

/**
 * Former holders release locks that others hold by now.
 * @param flaw changes the sync of the former holders, to prove that this is noticed.
 */
export async function lateUnlocks(
  startServer: StartCoordinationServer,
  length: Length,
  flaw?: Flaw,
): Promise<Figure> {
  const sizes = { short: [200, 50], long: [10_000, 100] } as const;
  const [count, atOnce] = flaw === undefined ? sizes[length] : [50, 50];
  const ttlMs = 100;
  await using server = await startServer();
  await using former = syncAt(server.url);
  const one = flaw?.(former) ?? former;
  await using two = syncAt(server.url);
  let [refused, kept, next] = [0, 0, 0];
  const work = async () => {
    while (next < count) {
      const id = `lock ${next++}`;
      const ended = await one.lock(id, { ttlMs, renewal: "manual" });
      const held = await two.lock(id, { ttlMs: 10_000 });
      if (!(await ended.unlock())) refused++;
      const stays = await held.renew().then(
        () => held.held,
        () => false,
      );
      if (stays && (await held.unlock())) kept++;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return {
    id: "S5",
    recipe: `${count} locks released after they had ended, while others hold them`,
    found: `${refused} refused, ${kept} stayed with their holders`,
    bound: `${count}, ${count}`,
    holds: refused === count && kept === count,
  };
}
