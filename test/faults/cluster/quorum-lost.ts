import { setTimeout as sleep } from "node:timers/promises";
import { asMicroError, type Outcome } from "@micro-es/runtime";
import { checkOutcomes } from "../check-outcomes.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import type { Cluster, Member, StartCluster } from "./cluster.ts";

/** The driver's timeout of a response, and what a busy machine may add. */
const failsWithinMs = 6_000;
const worksWithinMs = 20_000;
const text = new TextEncoder().encode("x");
const node = {
  id: "node-1",
  service: "work",
  version: "1",
  address: "127.0.0.1:9",
  metadata: {},
  endpoints: [],
};

/**
 * Two of three servers are paused, so that the third has no quorum; then each is paused while the
 * other two go on.
 * @param hasFlaw whether nothing is paused, to prove that this is noticed.
 */
export async function quorumLost(
  startCluster: StartCluster,
  length: Length,
  hasFlaw = false,
): Promise<Figure> {
  const rounds = length === "long" ? 10 : 1;
  await using cluster = await startCluster();
  const others = cluster.members.slice(1);
  await using records = cluster.records();
  await using registering = cluster.registry();
  await using registry = cluster.registry();
  await registering.register(node, { ttlMs: 15_000 });
  await until(async () => (await registry.get(node.service)).length === 1, 20_000);
  let nodesLost = 0;
  const watching = new AbortController();
  const following = (async () => {
    for await (const event of registry.watch(node.service, { signal: watching.signal })) {
      const isLost =
        event.type === "snapshot" ? event.nodes.length === 0 : event.type === "removed";
      if (isLost) nodesLost++;
    }
  })();
  const signalAll = (members: readonly Member[], name: "SIGSTOP" | "SIGCONT") => {
    if (!hasFlaw) for (const member of members) member.signal(name);
  };
  const told = new Map<string, Outcome>();
  let keys = 0;
  const write = async () => {
    const key = `key/${keys++}`;
    const outcome = await outcomeOf(records.write(key, text));
    told.set(key, outcome);
    return outcome === "executed";
  };
  let [succeeded, slowestFailure, slowestReturn, slowestOther] = [0, 0, 0, 0];
  for (let round = 0; round < rounds; round++) {
    await until(write, worksWithinMs);
    signalAll(others, "SIGSTOP");
    // As many as a pause of several seconds has time for.
    const pausedAt = performance.now();
    while (performance.now() - pausedAt < failsWithinMs) {
      const began = performance.now();
      if (await write()) succeeded++;
      else slowestFailure = Math.max(slowestFailure, performance.now() - began);
      await sleep(100);
    }
    signalAll(others, "SIGCONT");
    slowestReturn = Math.max(slowestReturn, await until(write, 60_000, 50));
    await until(async () => (await cluster.leader()) !== undefined, 20_000, 50);
    // One of them is the member that the driver uses.
    for (const member of cluster.members) {
      signalAll([member], "SIGSTOP");
      slowestOther = Math.max(slowestOther, await until(write, 60_000, 50));
      signalAll([member], "SIGCONT");
    }
  }
  const facts = await factsOf(told, cluster);
  await until(async () => (await registry.get(node.service)).length === 1, 20_000);
  watching.abort();
  await following;
  const { unknown, contradicted, missing } = checkOutcomes(facts);
  return {
    id: "W3",
    recipe: `${rounds} times two of three servers paused for ${failsWithinMs / 1_000} s, then each of them in turn`,
    found: `${succeeded} of ${told.size} writes succeeded without a quorum, the others failed after ${Math.round(slowestFailure)} ms at most; writes succeeded ${Math.round(slowestReturn)} ms after the two were back, and ${Math.round(slowestOther)} ms after one was paused; ${unknown} reported as unknown, ${contradicted} as not executed that happened, ${missing} as done that did not; ${nodesLost} nodes lost`,
    bound: `0, ${failsWithinMs} ms; ${worksWithinMs} ms, ${worksWithinMs} ms; any, 0, 0; 0`,
    holds:
      succeeded + contradicted + missing + nodesLost === 0 &&
      slowestFailure > 0 &&
      slowestFailure <= failsWithinMs &&
      slowestReturn <= worksWithinMs &&
      slowestOther <= worksWithinMs,
  };
}

function outcomeOf(attempt: Promise<unknown>): Promise<Outcome> {
  return attempt.then(
    () => "executed",
    (error: unknown) => asMicroError(error).outcome,
  );
}

async function factsOf(told: ReadonlyMap<string, Outcome>, cluster: Cluster) {
  await using records = cluster.records();
  const facts = [...told].map(async ([key, outcome]) => {
    return { told: outcome, happened: (await records.read(key)) !== undefined, laterStays: true };
  });
  return await Promise.all(facts);
}
