import assert from "node:assert/strict";
import {
  byEndpoint,
  byLabel,
  byVersion,
  deadlineAfter,
  MicroError,
  type Node,
  type Registry,
  type Selector,
} from "@micro-es/runtime";
import type { Candidate } from "@micro-es/runtime/driver";
import { ScriptedRegistry, turns } from "../support/scripted-registry.ts";
import { seededRandom } from "../support/seeded-random.ts";
import type { ContractCase } from "./contract.ts";

/** Dependencies of a selector under test. */
export interface SelectorSetup {
  readonly registry: Registry;
  /** Seeded, so that every run is the same. */
  readonly random: () => number;
  /** The simulated clock. */
  readonly now: () => number;
  readonly discoveryTimeoutMs: number;
}

/** Requirements on the selector beyond an even distribution. */
export interface SelectorContractOptions {
  create(setup: SelectorSetup): Selector;
  /** Whether it sends less to nodes with more calls in flight, and so to slow ones. */
  readonly adaptive: boolean;
}

/** The behaviour of every strategy. */
export function selectorContract(options: SelectorContractOptions): readonly ContractCase[] {
  const cases: ContractCase[] = [];
  const add = (name: string, run: (bench: Bench) => Promise<void>) =>
    cases.push({
      name,
      run: async () => {
        const bench = new Bench(options);
        try {
          await run(bench);
        } finally {
          await bench.selector.close();
        }
        assert.deepEqual(bench.registry.watched, [], "a watch outlived the selector");
      },
    });

  add("gives equal nodes equal shares", async (bench) => {
    await bench.start(nodes(10));
    const shares = bench.run({ calls: 50_000, latencyMs: () => 1 + bench.random() * 20 });
    const counts = [...shares.values()];
    const mean = 50_000 / 10;
    assert.ok(Math.max(...counts) / mean <= 1.1, `shares are ${counts}`);
    assert.equal(counts.length, 10);
  });

  add("sends nothing to a node that has left, and calls to a new one", async (bench) => {
    await bench.start(nodes(3));
    bench.run({ calls: 100 });
    await bench.registry.tell("echo", { type: "removed", node: node(1) });
    await bench.registry.tell("echo", { type: "added", node: node(7) });
    const shares = bench.run({ calls: 300 });
    assert.equal(shares.get("n1"), undefined);
    assert.deepEqual([...shares.keys()].sort(), ["n0", "n2", "n7"]);
  });

  add("treats a snapshot as the complete list", async (bench) => {
    await bench.start(nodes(3));
    await bench.registry.tell("echo", { type: "snapshot", nodes: [node(2), node(3)] });
    assert.deepEqual([...bench.run({ calls: 100 }).keys()].sort(), ["n2", "n3"]);
  });

  add("hands out the same candidate for the same node, with its calls in flight", async (bench) => {
    await bench.start(nodes(1));
    const one = await bench.selector.select("echo");
    const two = await bench.selector.select("echo");
    assert.equal(one, two);
    assert.equal(one.inFlight, 2);
    one.report(5);
    assert.equal(one.inFlight, 1);
  });

  add("picks without a promise once the nodes are known", async (bench) => {
    await bench.start(nodes(2));
    assert.ok(!(bench.selector.select("echo") instanceof Promise));
  });

  add("avoids excluded nodes as long as there is another", async (bench) => {
    await bench.start(nodes(3));
    const exclude = new Set(["n0", "n2"]);
    assert.deepEqual([...bench.run({ calls: 50, exclude }).keys()], ["n1"]);
    exclude.add("n1");
    assert.equal(bench.run({ calls: 50, exclude }).size > 1, true);
  });

  add("picks only nodes that every filter allows", async (bench) => {
    const list = [
      node(0, { version: "1.0.0" }),
      node(1, { version: "2.0.0", metadata: { zone: "a" } }),
      node(2, { version: "2.0.0", metadata: { zone: "b" } }),
      node(3, {
        version: "2.0.0",
        metadata: { zone: "b" },
        endpoints: [{ name: "Echo.Once", metadata: {} }],
      }),
    ];
    await bench.start(list);
    const keys = (filters: Parameters<Bench["run"]>[0]["filters"]) =>
      [...bench.run({ calls: 60, filters }).keys()].sort();
    assert.deepEqual(keys([byVersion("1.0.0")]), ["n0"]);
    assert.deepEqual(keys([byVersion("2.0.0")]), ["n1", "n2", "n3"]);
    assert.deepEqual(keys([byVersion("2.0.0"), byLabel("zone", "b")]), ["n2", "n3"]);
    assert.deepEqual(keys([byEndpoint("Echo.Once")]), ["n3"]);
    const kept = [byVersion("1.0.0", "2.0.0"), byLabel("zone", "a")];
    assert.deepEqual(keys(kept), ["n1"]);
    await bench.registry.tell("echo", {
      type: "updated",
      node: node(0, { version: "1.0.0", metadata: { zone: "a" } }),
    });
    assert.deepEqual(keys(kept), ["n0", "n1"]);
  });

  add("reports which filters left no node, and the known nodes", async (bench) => {
    await bench.start(nodes(2));
    const error = await failure(bench.selector, {
      filters: [byVersion("9"), byLabel("zone", "x")],
    });
    assert.equal(error.code, "unavailable");
    assert.equal(error.outcome, "not-executed");
    assert.match(error.message, /echo.*version 9.*zone=x.*n0.*n1/);
  });

  add("sends a slow node less than its share", async (bench) => {
    await bench.start(nodes(5));
    const slow = (id: string) => (id === "n3" ? 50 : 5);
    bench.run({ calls: 5_000, latencyMs: slow });
    const share = (bench.run({ calls: 20_000, latencyMs: slow }).get("n3") ?? 0) / (20_000 / 5);
    if (options.adaptive) assert.ok(share <= 0.25, `the slow node got ${share} of a fair share`);
    else assert.ok(share <= 1.1);
  });

  add("sends a node its share again once it is as fast as the others", async (bench) => {
    await bench.start(nodes(5));
    bench.run({ calls: 5_000, latencyMs: (id) => (id === "n3" ? 50 : 5) });
    bench.run({ forMs: 40_000, calls: Number.POSITIVE_INFINITY });
    const share = (bench.run({ calls: 20_000 }).get("n3") ?? 0) / (20_000 / 5);
    assert.ok(share >= 0.8, `it got ${share} of a fair share`);
  });

  add("keeps away from a node that fails at once, and tries it again later", async (bench) => {
    await bench.start(nodes(5));
    const fails = (id: string) => id === "n2";
    const latencyMs = (id: string) => (id === "n2" ? 0.1 : 5);
    bench.run({ calls: 2_000, fails, latencyMs });
    const share = (bench.run({ calls: 10_000, fails, latencyMs }).get("n2") ?? 0) / 10_000;
    assert.ok(share <= 0.01, `the failing node got ${share} of all calls`);
    bench.run({ forMs: 60_000, calls: Number.POSITIVE_INFINITY, latencyMs: () => 5 });
    assert.ok((bench.run({ calls: 1_000 }).get("n2") ?? 0) > 50, "it was never tried again");
  });

  add("does not hold cancelled and refused requests against a node", async (bench) => {
    await bench.start(nodes(2));
    for (let call = 0; call < 50; call++) {
      const candidate = await bench.selector.select("echo");
      candidate.report(
        1,
        candidate.node.id === "n0"
          ? new MicroError(call % 2 ? "canceled" : "not_found", "x", { outcome: "executed" })
          : undefined,
      );
    }
    const shares = bench.run({ calls: 1_000 });
    assert.ok((shares.get("n0") ?? 0) > 250, `shares are ${[...shares]}`);
  });

  add("uses every node when all of them fail", async (bench) => {
    await bench.start(nodes(4));
    bench.run({ calls: 2_000, fails: () => true });
    assert.ok(bench.run({ calls: 1_000, fails: () => true }).size >= 2);
    await bench.registry.tell("echo", { type: "snapshot", nodes: [node(0)] });
    bench.run({ calls: 20, fails: () => true });
    assert.equal(bench.run({ calls: 10 }).get("n0"), 10);
  });

  add("waits for the first node of a service", async (bench) => {
    const selected = bench.selector.select("echo");
    assert.ok(selected instanceof Promise);
    await turns();
    await bench.registry.tell("echo", { type: "snapshot", nodes: [] });
    await bench.registry.tell("echo", { type: "added", node: node(4) });
    assert.equal((await selected).node.id, "n4");
  });

  add("fails for a service without nodes, and says what to do", async (bench) => {
    const error = await failure(bench.selector);
    assert.equal(error.code, "unavailable");
    assert.equal(error.outcome, "not-executed");
    assert.match(error.message, /scripted registry.*echo.*start the service/);
  });

  add("waits no longer than the deadline and the signal allow", async (bench) => {
    const late = await failure(bench.selector, { deadline: deadlineAfter(5) });
    assert.equal(late.code, "deadline_exceeded");
    assert.equal(late.outcome, "not-executed");
    const controller = new AbortController();
    const waiting = failure(bench.selector, { signal: controller.signal });
    controller.abort();
    const cancelled = await waiting;
    assert.equal(cancelled.code, "canceled");
    assert.equal(cancelled.outcome, "not-executed");
  });

  add("keeps the last known nodes when the registry is lost", async (bench) => {
    await bench.start(nodes(2));
    bench.registry.state = "lost";
    await bench.registry.tell("echo", { type: "snapshot", nodes: [] });
    await bench.registry.tell("echo", { type: "removed", node: node(0) });
    assert.equal(bench.run({ calls: 100 }).size, 2);
    await bench.registry.fail(new Error("the backend is gone"));
    assert.equal(bench.run({ calls: 100 }).size, 2);
    bench.registry.state = "healthy";
    while (bench.registry.begun < 2) await turns(1);
    await bench.registry.tell("echo", { type: "snapshot", nodes: [node(1)] });
    assert.deepEqual([...bench.run({ calls: 50 }).keys()], ["n1"]);
  });

  add("watches a service once, however many concurrent calls there are", async (bench) => {
    const selected = Array.from({ length: 50 }, () => bench.selector.select("echo"));
    await turns();
    await bench.registry.tell("echo", { type: "snapshot", nodes: nodes(2) });
    await Promise.all(selected);
    assert.equal(bench.registry.begun, 1);
  });

  add("reports nodes that join and leave", async (bench) => {
    const changes: string[] = [];
    const stop = bench.selector.onNodeChange((change, { id }) => changes.push(`${change} ${id}`));
    await bench.start(nodes(2));
    await bench.registry.tell("echo", { type: "removed", node: node(0) });
    await bench.registry.tell("echo", {
      type: "updated",
      node: node(1, { address: "elsewhere:1" }),
    });
    stop();
    await bench.registry.tell("echo", { type: "removed", node: node(1) });
    assert.deepEqual(changes, ["added n0", "added n1", "removed n0", "removed n1", "added n1"]);
  });

  add("refuses calls once it is closed, including waiting ones", async (bench) => {
    const waiting = failure(bench.selector);
    await turns();
    await bench.selector.close();
    await bench.selector.close();
    assert.match((await waiting).message, /closed/);
    assert.match((await failure(bench.selector)).message, /echo.*closed/);
  });

  return cases;
}

class Bench {
  readonly registry = new ScriptedRegistry();
  readonly random = seededRandom(4711);
  readonly selector: Selector;
  #now = 1_000_000;

  constructor(options: SelectorContractOptions) {
    this.selector = options.create({
      registry: this.registry,
      random: this.random,
      now: () => this.#now,
      discoveryTimeoutMs: 300,
    });
  }

  /** Publishes the nodes. */
  async start(list: readonly Node[]): Promise<void> {
    const selected = this.selector.select("echo");
    await turns();
    await this.registry.tell("echo", { type: "snapshot", nodes: list });
    (await selected).report(undefined);
  }

  /** Simulates calls, two per millisecond, and returns the number that each node received. */
  run(load: {
    readonly calls: number;
    readonly forMs?: number;
    readonly latencyMs?: (id: string) => number;
    readonly fails?: (id: string) => boolean;
    readonly exclude?: ReadonlySet<string>;
    readonly filters?: readonly ((node: Node) => boolean)[] | undefined;
  }): Map<string, number> {
    const shares = new Map<string, number>();
    const open: {
      readonly candidate: Candidate;
      readonly begun: number;
      readonly end: number;
    }[][] = [];
    const end = this.#now + (load.forMs ?? Number.POSITIVE_INFINITY);
    let inFlight = 0;
    for (let call = 0, tick = 0; inFlight > 0 || (call < load.calls && this.#now < end); tick++) {
      for (let n = 0; n < 2 && call < load.calls && this.#now < end; n++, call++) {
        const candidate = this.selector.select("echo", load);
        assert.ok(!(candidate instanceof Promise));
        const { id } = candidate.node;
        shares.set(id, (shares.get(id) ?? 0) + 1);
        const latency = load.latencyMs?.(id) ?? 5;
        const due = tick + Math.max(1, Math.ceil(latency));
        open[due] ??= [];
        open[due].push({ candidate, begun: this.#now, end: this.#now + latency });
        inFlight++;
      }
      this.#now++;
      for (const { candidate, begun, end: at } of open[tick + 1] ?? []) {
        const failed = load.fails?.(candidate.node.id) === true;
        candidate.report(
          at - begun,
          failed ? new MicroError("unavailable", "down", { outcome: "not-executed" }) : undefined,
        );
        inFlight--;
      }
      delete open[tick + 1];
    }
    return shares;
  }
}

async function failure(
  selector: Selector,
  options: Parameters<Selector["select"]>[1] = {},
): Promise<MicroError> {
  try {
    await selector.select("echo", options);
  } catch (error) {
    assert.ok(error instanceof MicroError);
    return error;
  }
  return assert.fail("a node was selected");
}

function nodes(count: number): Node[] {
  return Array.from({ length: count }, (_, index) => node(index));
}

function node(index: number, more: Partial<Node> = {}): Node {
  return {
    id: `n${index}`,
    service: "echo",
    version: "1.0.0",
    address: `10.0.0.${index}:80`,
    metadata: {},
    endpoints: [],
    ...more,
  };
}
