import { setTimeout as sleep } from "node:timers/promises";
import { asMicroError, type Node, type Outcome, type Registry, type Sync } from "@micro-es/runtime";
import { checkOutcomes, type OutcomeFigures } from "../check-outcomes.ts";
import { checkTerms, type Term } from "../check-terms.ts";
import type { Flaw, Records } from "../coordination/server.ts";
import { until } from "../until.ts";
import type { Cluster } from "./cluster.ts";

const writers = 4;
const ttlMs = 3_000;
const node: Node = {
  id: "node-1",
  service: "work",
  version: "1",
  address: "127.0.0.1:9",
  metadata: {},
  endpoints: [],
};

/** What the parts of a fleet experienced. */
export interface UseFigures extends OutcomeFigures {
  readonly writes: number;
  /** Of a lock and of a group's leaders. */
  readonly terms: number;
  /** Terms that overlap, and terms with a token that is not larger than all before. */
  readonly wrongTerms: number;
  /** Attempts to write, to lock and to lead that failed. */
  readonly failures: number;
  /** Events in which a watcher lost the node, which lived all the time. */
  readonly nodesLost: number;
  /** Values of the configuration that a watcher received. */
  readonly values: number;
  /** Values older than the one before. */
  readonly valuesBack: number;
  /** How long after the faults all parts worked, and knew the last state, in milliseconds. */
  readonly workedAfterMs: number;
}

/**
 * Writes records, takes a lock and the lead of a group in turns, and follows a node and the
 * configuration, while `inject` breaks the cluster and until everything works after it.
 * @param flaw changes the syncs, to prove that this is noticed.
 */
export async function useCluster(
  cluster: Cluster,
  inject: () => Promise<void>,
  flaw: Flaw = (sync) => sync,
): Promise<UseFigures> {
  const over = new AbortController();
  const { signal } = over;
  await using records = cluster.records();
  await using registering = cluster.registry();
  await using registry = cluster.registry();
  await using source = cluster.source();
  const syncs = [cluster.sync(), cluster.sync()];
  try {
    await registering.register(node, { ttlMs: 10_000 });
    await until(async () => (await registry.get(node.service)).length === 1, 20_000);
    const use = {
      attempts: new Map<string, Outcome>(),
      locks: [] as Term[],
      leads: [] as Term[],
      values: [] as number[],
      nodesLost: 0,
      failures: 0,
      count: 0,
    };
    const flawed = syncs.map(flaw);
    const running = [
      ...Array.from({ length: writers }, (_, at) => write(at)),
      ...flawed.map((sync) => takeTurns(use.locks, () => lockOf(sync))),
      ...flawed.map((sync) => takeTurns(use.leads, () => leadOf(sync, signal))),
      followNode(registry),
      followValues(),
      changeValues(),
    ];
    const doneNow = () => [
      [...use.attempts.values()].filter((told) => told === "executed").length,
      use.locks.length,
      use.leads.length,
      use.values.at(-1) ?? 0,
    ];
    /** How long until each has done something more. */
    const worksAgain = async () => {
      const before = doneNow();
      return until(() => doneNow().every((done, at) => done > (before[at] ?? 0) + 1), 60_000);
    };
    await worksAgain();
    await inject();
    const restoredAt = performance.now();
    await worksAgain();
    over.abort();
    await Promise.all(running);
    await until(() => use.values.at(-1) === use.count, 10_000);
    await using fresh = cluster.registry();
    await until(async () => (await fresh.get(node.service)).length === 1, 20_000);
    const workedAfterMs = performance.now() - restoredAt;
    const [locks, leads] = [checkTerms(use.locks), checkTerms(use.leads)];
    return {
      ...checkOutcomes(await factsOf(use.attempts, cluster)),
      writes: use.attempts.size,
      terms: locks.terms + leads.terms,
      wrongTerms: locks.overlaps + locks.staleTokens + leads.overlaps + leads.staleTokens,
      failures: use.failures,
      nodesLost: use.nodesLost + ((await registry.get(node.service)).length === 1 ? 0 : 1),
      values: use.values.length,
      valuesBack: use.values.filter((value, at) => value < (use.values[at - 1] ?? 0)).length,
      workedAfterMs: use.values.at(-1) === use.count ? workedAfterMs : Number.POSITIVE_INFINITY,
    };

    async function write(writer: number): Promise<void> {
      for (let turn = 0; !signal.aborted; turn++) {
        const key = `key/${writer}/${turn}`;
        const told = await outcomeOf(records.write(key, text));
        use.attempts.set(key, told);
        if (told !== "executed") use.failures++;
        await sleep(20);
      }
    }

    async function takeTurns(terms: Term[], take: () => Promise<Held>): Promise<void> {
      while (!signal.aborted) {
        try {
          const held = await take();
          const from = performance.now();
          const ended = new Promise<number>((resolve) => {
            held.signal.addEventListener("abort", () => resolve(performance.now()));
          });
          const to = await Promise.race([ended, sleep(50).then(() => performance.now())]);
          terms.push({ token: Number(held.token), from, to });
          await held.release();
        } catch {
          if (!signal.aborted) use.failures++;
          await sleep(50);
        }
      }
    }

    async function followNode(watching: Registry): Promise<void> {
      for await (const event of watching.watch(node.service, { signal })) {
        const isLost =
          event.type === "snapshot" ? event.nodes.length === 0 : event.type === "removed";
        if (isLost) use.nodesLost++;
      }
    }

    async function followValues(): Promise<void> {
      for await (const { count } of source.watch?.({ signal }) ?? []) {
        if (typeof count === "number") use.values.push(count);
      }
    }

    async function changeValues(): Promise<void> {
      for (let count = 1; !signal.aborted; count++) {
        await until(() => cluster.setCount(count).then(() => true), 60_000, 50);
        use.count = count;
        await sleep(100);
      }
    }
  } finally {
    over.abort();
    for (const sync of syncs) await sync.close();
  }
}

const text = new TextEncoder().encode("x");

interface Held {
  readonly token: bigint;
  readonly signal: AbortSignal;
  release(): Promise<unknown>;
}

async function lockOf(sync: Sync): Promise<Held> {
  const lock = await sync.lock("work", { ttlMs, waitMs: 2_000 });
  return { token: lock.token, signal: lock.signal, release: () => lock.unlock() };
}

async function leadOf(sync: Sync, signal: AbortSignal): Promise<Held> {
  const leadership = await sync.lead("group", { ttlMs, signal });
  const { epoch: token } = leadership;
  return { token, signal: leadership.signal, release: () => leadership.resign() };
}

function outcomeOf(attempt: Promise<unknown>): Promise<Outcome> {
  return attempt.then(
    () => "executed",
    (error: unknown) => asMicroError(error).outcome,
  );
}

/** What became of writes, as another client reads. */
async function factsOf(attempts: ReadonlyMap<string, Outcome>, cluster: Cluster) {
  await using records = cluster.records();
  const facts = [];
  const all = [...attempts];
  for (let from = 0; from < all.length; from += 50) {
    const part = all.slice(from, from + 50).map(async ([key, told]) => {
      return { told, happened: await isThere(records, key), laterStays: true };
    });
    facts.push(...(await Promise.all(part)));
  }
  return facts;
}

/** A server that was killed may still be catching up when it is asked. */
async function isThere(records: Records, key: string): Promise<boolean> {
  let there: boolean | undefined;
  const read = async () => {
    there = (await records.read(key)) !== undefined;
    return true;
  };
  await until(read, 60_000, 100);
  if (there === undefined) throw new Error(`${key} could not be read for a minute`);
  return there;
}
