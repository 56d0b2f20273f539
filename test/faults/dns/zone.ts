import { setTimeout as sleep } from "node:timers/promises";
import { dnsRegistry } from "@micro-es/dns";
import type { Registry } from "@micro-es/runtime";
import {
  failureOf,
  type Query,
  responseTo,
  srv,
  startFakeServer,
} from "../../../drivers/dns/test/fake-server.ts";
import { startNsd, zone } from "../../../drivers/dns/test/server.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";

/** The time to live of all records, in milliseconds. */
const ttlMs = 1_000;
/** One poll is at most a tenth later than the time to live. */
const pollMs = 1_100;
/** What a machine may be late that runs other tests, in milliseconds. */
const slackMs = 2_000;

function records(count: number): string[] {
  return Array.from(
    { length: count },
    (_, n) => `_echo._tcp IN SRV 10 5 ${8_000 + n} n${n}\nn${n} IN A 10.0.0.${n}`,
  );
}

const countOf = async (registry: Registry) => (await registry.get("echo")).length;

/** The zone changes again and again; each change is known within the time to live and a second. */
export async function zoneChanges(length: Length): Promise<Figure> {
  const changes = length === "long" ? 200 : 8;
  await using server = await startNsd(records(1));
  await using registry = dnsRegistry({ domain: zone, servers: [server.address] });
  const latencies: number[] = [];
  await registry.get("echo");
  for (let n = 0; n < changes; n++) {
    const expected = 2 + (n % 7);
    await server.write(records(expected));
    const began = performance.now();
    await until(async () => (await countOf(registry)) === expected, 10_000);
    latencies.push(performance.now() - began);
  }
  const worst = Math.round(Math.max(...latencies));
  const bound = ttlMs + 1_000 + slackMs;
  return {
    id: "N1",
    recipe: `a zone with a TTL of ${ttlMs / 1_000} s changes ${changes} times`,
    found: `known after at most ${worst} ms`,
    bound: `≤ TTL + 1 s (and ${slackMs} ms for a busy machine)`,
    holds: worst <= bound,
  };
}

/** The server is stopped for a while: nodes stay, the state says so, and it recovers by itself. */
export async function serverAway(length: Length): Promise<Figure> {
  const awayMs = length === "long" ? 30_000 : 8_000;
  await using server = await startNsd(records(3));
  await using registry = dnsRegistry({ domain: zone, servers: [server.address] });
  await registry.get("echo");
  let least = await countOf(registry);
  const stoppedAt = performance.now();
  // A server that is stopped does not even refuse.
  server.signal("SIGSTOP");
  let degradedMs = Number.POSITIVE_INFINITY;
  try {
    await until(() => registry.state === "degraded", 20_000);
    degradedMs = Math.round(performance.now() - stoppedAt);
    while (performance.now() - stoppedAt < awayMs) {
      least = Math.min(least, await countOf(registry));
      await sleep(50);
    }
  } finally {
    server.signal("SIGCONT");
  }
  const backAt = performance.now();
  await until(() => registry.state === "healthy", 20_000);
  const recoveredMs = Math.round(performance.now() - backAt);
  least = Math.min(least, await countOf(registry));
  // The server responds to what it received while it was stopped, or to the next lookup.
  const recoveryBound = 2 * pollMs + slackMs;
  return {
    id: "N2",
    recipe: `the server is stopped for ${awayMs / 1_000} s`,
    found: `degraded after ${degradedMs} ms, at least ${least} of 3 nodes, healthy ${recoveredMs} ms after its return`,
    bound: `degraded ≤ 5 s, 3 nodes, healthy ≤ 2 lookups (${recoveryBound} ms)`,
    holds: degradedMs <= 5_000 + slackMs && least === 3 && recoveredMs <= recoveryBound,
  };
}

/** Single negative responses, as of a server that reloads its zones. */
export async function zoneReloads(length: Length): Promise<Figure> {
  const lookups = length === "long" ? 100 : 8;
  let polls = 0;
  await using server = await startFakeServer((query: Query) => {
    if (query.type !== "SRV") return [responseTo(query)];
    if (polls++ % 2 === 1) return [failureOf(query, 3)];
    return [
      responseTo(query, {
        answers: [srv(query.name, "a.shop.test", 80)],
        additionals: [{ type: "A", name: "a.shop.test", ttl: 1, data: "10.0.0.1" }],
      }),
    ];
  });
  await using registry = dnsRegistry({ domain: zone, servers: [server.address] });
  let least = await countOf(registry);
  while (polls < lookups) {
    least = Math.min(least, await countOf(registry));
    await sleep(20);
  }
  return {
    id: "N5",
    recipe: `every second of ${lookups} lookups says NXDOMAIN`,
    found: `${1 - least} nodes lost`,
    bound: "0 nodes lost",
    holds: least === 1,
  };
}
