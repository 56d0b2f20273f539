import {
  createService,
  MemoryRegistryNetwork,
  MicroError,
  memoryRegistry,
  mergeRegistries,
  type Node,
  type Registry,
  type RegistryEvent,
} from "@micro-es/runtime";
import { afterEach, describe, expect, test, vi } from "vitest";
import { ScriptedRegistry, turns } from "../../../../test/support/scripted-registry.ts";
import { errorOf, recordingLogger } from "../../../../test/support/server.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function node(id: string, version = "1"): Node {
  const rest = { version, address: "127.0.0.1:80", metadata: {}, endpoints: [] };
  return { id, service: "greeter", ...rest };
}

function merge(...members: readonly Registry[]) {
  const log = recordingLogger();
  const registry = mergeRegistries(members, { logger: log });
  closers.push(() => registry.close());
  return { registry, log };
}

/** The events of a watch of two scripted registries. */
async function watched() {
  const [a, b] = [new ScriptedRegistry(), new ScriptedRegistry()];
  const { registry, log } = merge(a, b);
  const events: RegistryEvent[] = [];
  void (async () => {
    for await (const event of registry.watch("greeter")) events.push(event);
  })();
  await turns();
  const brief = () =>
    events
      .splice(0)
      .map((event) =>
        event.type === "snapshot"
          ? `snapshot ${event.nodes.map(({ id, version }) => `${id}@${version}`)}`
          : `${event.type} ${event.node.id}@${event.node.version}`,
      );
  return { a, b, registry, log, brief };
}

describe("a watch of merged registries", () => {
  test("starts with one snapshot of all, and removes a node once it is gone from all", async () => {
    const { a, b, brief } = await watched();
    await a.tell("greeter", { type: "snapshot", nodes: [node("both"), node("a")] });
    expect(brief()).toEqual([]);
    await b.tell("greeter", { type: "snapshot", nodes: [node("both"), node("b")] });
    expect(brief()).toEqual(["snapshot both@1,a@1,b@1"]);
    await a.tell("greeter", { type: "removed", node: node("both") });
    await a.tell("greeter", { type: "added", node: node("b") });
    expect(brief()).toEqual([]);
    await b.tell("greeter", { type: "removed", node: node("both") });
    await b.tell("greeter", { type: "added", node: node("c") });
    expect(brief()).toEqual(["removed both@1", "added c@1"]);
  });

  test("takes the first registry's record, and another one's while the first is lost", async () => {
    const { a, b, brief } = await watched();
    await a.tell("greeter", { type: "snapshot", nodes: [node("x", "a")] });
    await b.tell("greeter", { type: "snapshot", nodes: [node("x", "b")] });
    expect(brief()).toEqual(["snapshot x@a"]);
    await b.tell("greeter", { type: "updated", node: node("x", "b2") });
    expect(brief()).toEqual([]);
    a.state = "lost";
    await turns();
    expect(brief()).toEqual(["snapshot x@b2"]);
    a.state = "healthy";
    await turns();
    expect(brief()).toEqual(["snapshot x@a"]);
  });

  test("does not wait for a lost registry", async () => {
    const { a, b, brief } = await watched();
    b.state = "lost";
    await a.tell("greeter", { type: "snapshot", nodes: [node("a")] });
    expect(brief()).toEqual(["snapshot a@1"]);
    b.state = "healthy";
    await b.tell("greeter", { type: "snapshot", nodes: [node("b")] });
    expect(brief()).toEqual(["snapshot a@1,b@1"]);
  });

  test("does not wait long for a silent registry", async () => {
    const { a, brief } = await watched();
    await a.tell("greeter", { type: "snapshot", nodes: [node("a")] });
    await expect.poll(brief).toEqual(["snapshot a@1"]);
  });

  test("keeps the nodes of a registry whose watch fails, and watches it again", async () => {
    const { a, b, brief, log } = await watched();
    await a.tell("greeter", { type: "snapshot", nodes: [node("a")] });
    await b.tell("greeter", { type: "snapshot", nodes: [] });
    expect(brief()).toEqual(["snapshot a@1"]);
    await a.fail(new Error("connection reset"));
    expect(log.lines.map(({ level }) => level)).toEqual(["warn"]);
    await expect.poll(() => a.watched).toEqual(["greeter"]);
    expect(brief()).toEqual([]);
    await a.tell("greeter", { type: "snapshot", nodes: [] });
    expect(brief()).toEqual(["snapshot "]);
  });

  test("ends the watches of the registries with the last of its own", async () => {
    const [a, b] = [new ScriptedRegistry(), new ScriptedRegistry()];
    const { registry } = merge(a, b);
    const controller = new AbortController();
    for (let n = 0; n < 3; n++) {
      void registry.watch("greeter", controller)[Symbol.asyncIterator]().next();
    }
    expect([a.begun, b.begun]).toEqual([1, 1]);
    controller.abort();
    expect([a.watched, b.watched]).toEqual([[], []]);
  });
});

describe("merged registries", () => {
  const unavailable = new MicroError("unavailable", "connection refused");

  test("find what one has while another fails, and fail when nothing is found", async () => {
    const [a, b] = [new ScriptedRegistry(), new ScriptedRegistry()];
    const { registry, log } = merge(a, b);
    vi.spyOn(a, "get").mockRejectedValue(unavailable);
    vi.spyOn(a, "list").mockRejectedValue(unavailable);
    vi.spyOn(b, "get").mockResolvedValueOnce([node("b")]);
    vi.spyOn(b, "list").mockResolvedValueOnce(["greeter"]);
    expect(await registry.get("greeter")).toEqual([node("b")]);
    expect(await registry.list()).toEqual(["greeter"]);
    await expect(registry.get("greeter")).rejects.toBe(unavailable);
    await expect(registry.list()).rejects.toBe(unavailable);
    expect(log.lines).toHaveLength(1);
  });

  test("are degraded when one is not healthy, lost when all are, and say which", async () => {
    const [a, b] = [new ScriptedRegistry(), new ScriptedRegistry()];
    b.state = "degraded";
    const { registry } = merge(a, b);
    expect(registry.state).toBe("degraded");
    const seen: string[] = [];
    registry.onStateChange((state, reason) => seen.push(`${state}: ${reason?.message}`));
    a.state = "lost";
    b.state = "lost";
    a.state = "healthy";
    b.state = "healthy";
    const name = "merged(scripted, scripted)";
    expect(seen).toEqual([
      `degraded: ${name}: scripted is lost; scripted is degraded`,
      `lost: ${name}: scripted is lost; scripted is lost`,
      `degraded: ${name}: scripted is lost`,
      "healthy: undefined",
    ]);
  });

  test("register once one of them has, and in the others when those can be reached", async () => {
    const [one, other] = [new MemoryRegistryNetwork(), new MemoryRegistryNetwork()];
    const away = memoryRegistry({ network: other });
    const { registry, log } = merge(memoryRegistry({ network: one }), away);
    vi.spyOn(away, "register").mockRejectedValueOnce(unavailable);
    const registration = await registry.register(node("x"));
    expect([one, other].map((network) => network.peek("greeter").length)).toEqual([1, 0]);
    await expect.poll(() => other.peek("greeter").length).toBe(1);
    expect(log.lines.map(({ level }) => level)).toEqual(["warn", "info"]);
    await registration.close();
    expect([one, other].map((network) => network.peek("greeter").length)).toEqual([0, 0]);
    expect(registration.active).toBe(false);
  });

  test("do not register an earlier record over a later one", async () => {
    const [one, other] = [new MemoryRegistryNetwork(), new MemoryRegistryNetwork()];
    const away = memoryRegistry({ network: other });
    const { registry } = merge(memoryRegistry({ network: one }), away);
    const register = vi.spyOn(away, "register").mockRejectedValue(unavailable);
    const first = await registry.register(node("x", "1"));
    const second = await registry.register(node("x", "2"));
    register.mockRestore();
    await expect.poll(() => other.peek("greeter").map(({ version }) => version)).toEqual(["2"]);
    await first.close();
    expect(second.active).toBe(true);
    for (const network of [one, other]) {
      expect(network.peek("greeter").map(({ version }) => version)).toEqual(["2"]);
    }
  });

  test("register nowhere when one refuses the node, or all are unavailable", async () => {
    const network = new MemoryRegistryNetwork();
    const [a, b] = [memoryRegistry({ network }), memoryRegistry()];
    const { registry } = merge(a, b);
    const denied = new MicroError("permission_denied", "no write access");
    const register = vi.spyOn(b, "register").mockRejectedValue(denied);
    await expect(registry.register(node("x"))).rejects.toBe(denied);
    expect(network.peek("greeter")).toEqual([]);
    register.mockRejectedValue(unavailable);
    vi.spyOn(a, "register").mockRejectedValue(unavailable);
    await expect(registry.register(node("x"))).rejects.toBe(unavailable);
  });

  test("end a registration everywhere when another process takes its id over in one", async () => {
    const [one, other] = [new MemoryRegistryNetwork(), new MemoryRegistryNetwork()];
    const a = memoryRegistry({ network: one });
    const { registry } = merge(a, memoryRegistry({ network: other }));
    const register = vi.spyOn(a, "register");
    const onTakenOver = vi.fn();
    const registration = await registry.register(node("x"), { onTakenOver });
    const given = register.mock.calls[0]?.[1];
    given?.onTakenOver?.();
    given?.onTakenOver?.();
    expect(onTakenOver).toHaveBeenCalledTimes(1);
    expect(registration.active).toBe(false);
    await expect.poll(() => other.peek("greeter")).toEqual([]);
  });

  test("close all of them, whatever one throws", async () => {
    const [a, b] = [new ScriptedRegistry(), new ScriptedRegistry()];
    vi.spyOn(a, "close").mockRejectedValue(new Error("a is stuck"));
    const close = vi.spyOn(b, "close");
    const { message } = await errorOf(mergeRegistries([a, b]).close());
    expect(message).toBe("merged(scripted, scripted) did not close: a is stuck");
    expect(close).toHaveBeenCalledTimes(1);
  });

  test("guarantee what the weakest of them does, with the reach of the widest", () => {
    const wide = new ScriptedRegistry();
    const guarantees = { ...wide.guarantees, reach: "backend", liveness: "lease" } as const;
    Object.defineProperty(wide, "guarantees", { value: guarantees });
    expect(merge(new ScriptedRegistry(), wide).registry.guarantees).toEqual({
      registers: true,
      reach: "backend",
      consistency: "strong",
      liveness: "process",
    });
  });

  test.each([
    [[], "mergeRegistries needs at least one registry"],
    [[{}], "mergeRegistries: registries must be a list of registries"],
    [undefined, "mergeRegistries: registries must be a list of registries"],
  ])("are refused: %j", (registries, message) => {
    expect(() => mergeRegistries(registries as never)).toThrow(message);
  });
});

describe("MICRO_REGISTRY", () => {
  const inMemory = { MICRO_TRANSPORT: "memory", MICRO_BROKER: "memory", MICRO_LOG_LEVEL: "silent" };
  const create = (MICRO_REGISTRY: string) =>
    createService({ name: "shop", environment: { ...inMemory, MICRO_REGISTRY } });

  test("merges the registries of several URLs", async () => {
    await using service = create("memory:, mdns:?port=5999&interface=127.0.0.1");
    expect(service.registry.name).toBe("merged(memory, mdns)");
  });

  test.each([
    ["memory:,memory:", "MICRO_REGISTRY names memory: twice"],
    ["memory:,file:data", "MICRO_REGISTRY=file:data cannot be used: file: has no registry"],
    ["memory:,mdns:?prt=1", "mdns: has no parameter prt"],
  ])("refuses %s", (urls, message) => {
    expect(() => create(urls)).toThrow(message);
  });
});
