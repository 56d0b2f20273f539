import { afterEach, describe, expect, test, vi } from "vitest";
import { ScriptedRegistry, turns } from "../../../test/support/scripted-registry.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import { MicroError } from "../base/error.ts";
import type { Node } from "../registry/registry.ts";
import { p2c } from "./p2c.ts";
import { createSelector, type SelectorOptions } from "./registry-selector.ts";
import { roundRobin } from "./round-robin.ts";
import type { Candidate, Selector } from "./selector.ts";

const open: Selector[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const selector of open.splice(0)) await selector.close();
});

function node(id: string, service = "echo"): Node {
  return { id, service, version: "1", address: `${id}:1`, metadata: {}, endpoints: [] };
}

function create(options: Partial<SelectorOptions> = {}) {
  const registry = new ScriptedRegistry();
  const selector = createSelector({ registry, random: seededRandom(1), ...options });
  open.push(selector);
  const know = async (service: string, ...ids: string[]) => {
    const selected = selector.select(service);
    await turns();
    await registry.tell(service, { type: "snapshot", nodes: ids.map((id) => node(id, service)) });
    (await selected).report(undefined);
  };
  const pick = (service = "echo") => selector.select(service) as Candidate;
  return { registry, selector, know, pick };
}

const unavailable = new MicroError("unavailable", "down");

describe("the services that are followed", () => {
  test("are bounded: the least recently called one is dropped", async () => {
    const { registry, know, pick } = create({ maxServices: 2 });
    await know("a", "a1");
    await know("b", "b1");
    await know("c", "c1");
    expect(registry.watched.sort()).toEqual(["b", "c"]);
    pick("c").report(1);
    await know("d", "d1");
    expect(registry.watched.sort()).toEqual(["c", "d"]);
  });

  test("are dropped when they are no longer called", async () => {
    vi.useFakeTimers({ toFake: ["setInterval"] });
    const { registry, know, pick, selector } = create({ idleMs: 1_000 });
    const gone: string[] = [];
    selector.onNodeChange((change, { id }) => change === "removed" && gone.push(id));
    await know("a", "a1");
    await know("b", "b1");
    vi.advanceTimersByTime(500);
    pick("b").report(1);
    vi.advanceTimersByTime(500);
    expect(registry.watched).toEqual(["b"]);
    expect(gone).toEqual(["a1"]);
  });

  test("rotate independently of each other", async () => {
    const { know, pick } = create({ strategy: roundRobin });
    await know("a", "a1", "a2");
    await know("b", "b1", "b2");
    const seen = new Set<string>();
    for (let call = 0; call < 4; call++) {
      seen.add(pick("a").node.id);
      pick("b");
    }
    expect(seen.size).toBe(2);
  });
});

describe("p2c", () => {
  test("sends a new node no more than the others until it has responded", async () => {
    const { registry, know, pick } = create({ strategy: p2c });
    await know("echo", "old");
    pick().report(5);
    await registry.tell("echo", { type: "added", node: node("new") });
    const picked = Array.from({ length: 20 }, () => pick());
    const toNew = picked.filter((candidate) => candidate.node.id === "new");
    expect(toNew).toHaveLength(10);
    for (const candidate of picked) candidate.report(candidate.node.id === "new" ? 1 : 5);
    const later = Array.from({ length: 60 }, () => pick());
    expect(later.filter((candidate) => candidate.node.id === "new")).toHaveLength(50);
  });

  test.each([
    ["a node that fails at once", unavailable, 20],
    ["an overloaded node", new MicroError("resource_exhausted", "full", { retryAfterMs: 1 }), 20],
    ["a caller whose request is too large", new MicroError("resource_exhausted", "large"), 1_000],
  ])("detects in responses %s", async (_what, error, most) => {
    const { know, pick } = create({ strategy: p2c, ejection: false, now: () => 0 });
    await know("echo", "bad", "good");
    let bad = 0;
    for (let call = 0; call < 1_000; call++) {
      const candidate = pick();
      if (candidate.node.id === "bad") bad++;
      candidate.report(
        candidate.node.id === "bad" ? 0.1 : 5,
        candidate.node.id === "bad" ? error : undefined,
      );
    }
    expect(bad).toBeLessThanOrEqual(most);
    if (most === 1_000) expect(bad).toBeGreaterThan(300);
  });

  test("counts a stream as one call, however long it stays open", async () => {
    const { know, pick } = create({ strategy: p2c });
    await know("echo", "a", "b");
    const stream = pick();
    for (let call = 0; call < 10; call++) pick().report(5);
    const held = Array.from({ length: 21 }, () => pick());
    const beside = held.filter((candidate) => candidate === stream);
    expect(beside).toHaveLength(10);
  });
});

describe("ejection", () => {
  const failing = async (count: number, options: Partial<SelectorOptions> = {}) => {
    let now = 0;
    const bench = create({ strategy: roundRobin, now: () => now, ...options });
    await bench.know("echo", ...Array.from({ length: count }, (_, index) => `n${index}`));
    const seen = (calls: number, fails: (id: string) => boolean) => {
      const ids: string[] = [];
      for (let call = 0; call < calls; call++) {
        const candidate = bench.pick();
        ids.push(candidate.node.id);
        candidate.report(1, fails(candidate.node.id) ? unavailable : undefined);
      }
      return ids;
    };
    return { ...bench, seen, pass: (ms: number) => (now += ms) };
  };

  test("ejects a node after five failures in a row and probes it with one call", async () => {
    const { seen, pass } = await failing(3);
    const fails = (id: string) => id === "n1";
    expect(seen(30, fails).filter(fails)).toHaveLength(5);
    pass(30_000);
    expect(seen(30, fails).filter(fails)).toHaveLength(1);
    pass(59_000);
    expect(seen(30, fails).filter(fails)).toHaveLength(0);
    pass(2_000);
    expect(seen(30, () => false).filter(fails)).toHaveLength(10);
  });

  test("counts failures in a row only", async () => {
    const { seen } = await failing(2);
    let call = 0;
    const ids = seen(100, () => call++ % 8 > 1);
    expect(ids.filter((id) => id === "n0").length).toBeGreaterThan(30);
  });

  test("ejects no more than its share of the nodes", async () => {
    const { seen } = await failing(10, { ejection: { maxShare: 0.3 } });
    seen(200, () => true);
    expect(new Set(seen(70, () => true)).size).toBe(7);
  });

  test("can be turned off", async () => {
    const { seen } = await failing(2, { ejection: false });
    expect(seen(40, (id) => id === "n0").filter((id) => id === "n0")).toHaveLength(20);
  });

  test("is logged", async () => {
    const lines: unknown[] = [];
    const logger = {
      debug: () => {},
      info: () => {},
      error: () => {},
      warn: (fields: unknown) => lines.push(fields),
    };
    const { seen } = await failing(2, { logger });
    seen(20, (id) => id === "n0");
    expect(lines).toEqual([{ service: "echo", node: "n0", address: "n0:1", forMs: 30_000 }]);
  });
});
