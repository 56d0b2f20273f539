import { MicroError, type Node, type RegistryEvent } from "@micro-es/runtime";
import { afterEach, describe, expect, test, vi } from "vitest";
import { ScriptedRegistry, turns } from "../../../../test/support/scripted-registry.ts";
import { type CachedRegistryOptions, cachedRegistry } from "./registry.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function node(id: string, version = "1"): Node {
  const rest = { version, address: "127.0.0.1:80", metadata: {}, endpoints: [] };
  return { id, service: "greeter", ...rest };
}

function open(options: CachedRegistryOptions = {}) {
  const below = new ScriptedRegistry();
  const cache = cachedRegistry(below, options);
  closers.push(() => cache.close());
  const ids = async () => (await cache.get("greeter")).map(({ id }) => id);
  return { below, cache, ids };
}

/** A cache that contains two nodes. */
async function filled(options: CachedRegistryOptions = {}) {
  const opened = open(options);
  void opened.cache.get("greeter");
  await opened.below.tell("greeter", { type: "snapshot", nodes: [node("a"), node("b")] });
  return opened;
}

describe("a cached registry", () => {
  test("has one watch below per service, however many readers there are", async () => {
    const { below, cache, ids } = await filled();
    const controller = new AbortController();
    const watches = Array.from({ length: 10 }, () =>
      cache.watch("greeter", { signal: controller.signal })[Symbol.asyncIterator](),
    );
    for (const watch of watches) expect((await watch.next()).value?.type).toBe("snapshot");
    expect(await ids()).toEqual(["a", "b"]);
    expect(below.begun).toBe(1);
    await below.tell("greeter", { type: "removed", node: node("a") });
    for (const watch of watches) expect((await watch.next()).value?.type).toBe("removed");
    controller.abort();
    expect(below.watched).toEqual(["greeter"]);
  });

  test("keeps the last known nodes while the registry below is lost, and reports their age", async () => {
    const { below, cache, ids } = await filled();
    const states: string[] = [];
    cache.onStateChange((state, reason) => states.push(`${state} ${reason?.code}`));
    expect(cache.ageMs("greeter")).toBe(0);
    expect(cache.ageMs("unknown")).toBeUndefined();
    below.state = "lost";
    expect(cache.state).toBe("degraded");
    await below.tell("greeter", { type: "snapshot", nodes: [] });
    expect(await ids()).toEqual(["a", "b"]);
    await vi.waitFor(() => expect(cache.ageMs("greeter")).toBeGreaterThan(0), 10_000);
    below.state = "healthy";
    expect(cache.state).toBe("healthy");
    expect(cache.ageMs("greeter")).toBe(0);
    expect(states).toEqual(["degraded unavailable", "healthy undefined"]);
  });

  test("delays removals after a recovery until the grace ends", async () => {
    const { below, cache, ids } = await filled({ graceMs: 150 });
    const events: RegistryEvent[] = [];
    void (async () => {
      for await (const event of cache.watch("greeter")) events.push(event);
    })();
    below.state = "lost";
    below.state = "healthy";
    await below.tell("greeter", { type: "snapshot", nodes: [] });
    expect(await ids()).toEqual(["a", "b"]);
    await below.tell("greeter", { type: "added", node: node("a") });
    await below.tell("greeter", { type: "added", node: node("c") });
    await below.tell("greeter", { type: "removed", node: node("c") });
    expect(await ids()).toEqual(["a", "b", "c"]);
    await vi.waitFor(async () => expect(await ids()).toEqual(["a"]), 10_000);
    await turns();
    expect(events.filter(({ type }) => type === "removed")).toHaveLength(2);
    await below.tell("greeter", { type: "removed", node: node("a") });
    expect(await ids()).toEqual([]);
  });

  test("accepts an emptied service when nothing was lost", async () => {
    const { below, ids } = await filled();
    await below.tell("greeter", { type: "snapshot", nodes: [] });
    expect(await ids()).toEqual([]);
  });

  test("restarts a watch that fails", async () => {
    const { below, cache, ids } = await filled({ graceMs: 50 });
    await below.fail(new Error("connection reset"));
    expect(cache.state).toBe("degraded");
    expect(await ids()).toEqual(["a", "b"]);
    await vi.waitFor(() => expect(below.watched).toEqual(["greeter"]), 10_000);
    await below.tell("greeter", { type: "snapshot", nodes: [node("b", "2")] });
    expect(cache.state).toBe("healthy");
    expect(await ids()).toEqual(["b", "a"]);
    await vi.waitFor(async () => expect(await ids()).toEqual(["b"]), 10_000);
  });

  test("has no nodes of a service if the registry below reported none", async () => {
    const { below, cache } = open();
    vi.spyOn(below, "get").mockRejectedValue(new MicroError("unavailable", "connection refused"));
    vi.spyOn(below, "list").mockResolvedValueOnce(["greeter"]);
    await expect(cache.get("greeter")).rejects.toMatchObject({ code: "unavailable" });
    expect(await cache.list()).toEqual(["greeter"]);
    vi.spyOn(below, "list").mockRejectedValue(new MicroError("unavailable", "connection refused"));
    expect(await cache.list()).toEqual(["greeter"]);
  });

  test("drops the least recently used service, and reads through when all are watched", async () => {
    const { below, cache } = open({ maxServices: 2 });
    for (const service of ["a", "b", "a", "c"]) await cache.get(service);
    await turns();
    expect(below.watched.sort()).toEqual(["a", "c"]);
    const watches = ["a", "c"].map((name) => cache.watch(name)[Symbol.asyncIterator]());
    for (const watch of watches) void watch.next();
    expect(await cache.get("d")).toEqual([]);
    expect(below.watched.sort()).toEqual(["a", "c"]);
    void cache.watch("d")[Symbol.asyncIterator]().next();
    expect(below.watched.sort()).toEqual(["a", "c", "d"]);
    for (const watch of watches) await watch.return?.();
  });
});
