import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Code,
  MicroError,
  type Node,
  type Registry,
  type RegistryEvent,
} from "@micro-es/runtime";
import { maxNodeBytes } from "@micro-es/runtime/driver";
import { seededRandom } from "../support/seeded-random.ts";
import { abortAt, abortMoments } from "./abort-moments.ts";
import type { ContractCase } from "./contract.ts";

/** One backend with any number of registries on it. */
export interface RegistryBackend {
  /** Connects another registry, which sees the registrations of the others. The case closes it. */
  connect(): Registry;
  /**
   * Registers the node in a separate process that can be killed without deregistering. Needed if
   * registrations are leases.
   */
  spawn?(node: Node, ttlMs: number): Promise<{ kill(): Promise<void> }>;
  close?(): Promise<void>;
}

/** Addresses that must never be dialled. */
const hostileAddresses: readonly string[] = [
  "",
  "127.0.0.1",
  "127.0.0.1:",
  "127.0.0.1:0",
  "127.0.0.1:65536",
  "127.0.0.1:-1",
  "127.0.0.1:80 ",
  "127.0.0.1:80\r\nHost: evil",
  "127.0.0.1:8\0",
  "0.0.0.0:80",
  "[::]:80",
  "[::ffff:0.0.0.0]:80",
  "::1:80",
  "[::1",
  "[fe80::1%eth0;id]:80",
  "2130706433:80",
  "0x7f000001:80",
  "0177.0.0.1:80",
  "127.1:80",
  "user:secret@10.0.0.1:80",
  "http://10.0.0.1:80",
  "10.0.0.1:80/path",
  "10.0.0.1:80?query",
  "-dash-.example:80",
  "two..dots:80",
  "host name:80",
  `${"a".repeat(300)}:80`,
  "unix:relative/path",
  "unix:",
  "unix:/a\nb",
  "memory:",
  "memory:with space",
  "file:/etc/passwd",
];

/** Invalid fields of a record, each with the text that the error must contain. */
const hostileFields: readonly (readonly [field: string, part: Record<string, unknown>])[] = [
  ["id", { id: "" }],
  ["id", { id: "with space" }],
  ["id", { id: "line\nbreak" }],
  ["id", { id: "x".repeat(256) }],
  ["id", { id: 17 }],
  ["service", { service: "" }],
  ["service", { service: "a..b" }],
  ["service", { service: "a/b" }],
  ["service", { service: "*" }],
  ["service", { service: "x".repeat(64) }],
  ["service", { service: "a.".repeat(100) }],
  ["version", { version: "1\0" }],
  ["version", { version: "1".repeat(129) }],
  ["address", { address: undefined }],
  ["metadata", { metadata: null }],
  ["metadata", { metadata: [] }],
  ["metadata", { metadata: { "": "empty key" } }],
  ["metadata", { metadata: JSON.parse('{"__proto__":"polluted"}') }],
  ["metadata.a", { metadata: { a: 1 } }],
  ["metadata.a", { metadata: { a: "\x1b[2J" } }],
  ["metadata", { metadata: Object.fromEntries(range(129).map((n) => [`k${n}`, ""])) }],
  ["node", { metadata: { big: "x".repeat(1024 * 1024) } }],
  ["node", { metadata: { big: "é".repeat(maxNodeBytes / 2) } }],
  ["endpoints", { endpoints: undefined }],
  ["endpoints", { endpoints: range(1_025).map((n) => ({ name: `E${n}`, metadata: {} })) }],
  ["endpoints[0]", { endpoints: [null] }],
  ["endpoints[0].name", { endpoints: [{ name: "", metadata: {} }] }],
  ["endpoints[1].metadata", { endpoints: [endpoint("A"), { name: "B", metadata: null }] }],
];

/**
 * The behaviour of every registry.
 * @param create creates a new backend for every case; the case closes it.
 */
export function registryContract(create: () => Promise<RegistryBackend>): readonly ContractCase[] {
  const withBackend = (name: string, run: (context: Context) => Promise<void>): ContractCase => ({
    name,
    async run() {
      const context = new Context(await create());
      try {
        await run(context);
      } finally {
        await context.close();
      }
    },
  });

  return [
    withBackend("returns the whole record of a registered node to others", async (context) => {
      const [here, there] = [context.connect(), context.connect()];
      const node = context.node({
        version: "1.2.3",
        metadata: { protocol: "native", zone: "é 𝄞" },
        endpoints: [
          { name: "Greeter.Hello", metadata: { kind: "unary" } },
          { name: "OnGreeted", metadata: { topic: "greeter.greeted", subscriber: "true" } },
        ],
      });
      const registration = await here.register(node);
      assert.equal(registration.active, true);
      assert.deepEqual(plain(registration.node), node);
      await eventually(async () => {
        assert.deepEqual((await there.get(context.service)).map(plain), [node]);
        assert.deepEqual((await here.get(context.service)).map(plain), [node]);
      });
    }),

    withBackend("returns no nodes for an unknown service", async (context) => {
      assert.deepEqual(await context.connect().get(context.service), []);
    }),

    withBackend("lists the services that have a node, sorted", async (context) => {
      const [here, there] = [context.connect(), context.connect()];
      const names = ["b", "a", "c.d"].map((suffix) => `${context.service}-${suffix}`);
      for (const service of names) await here.register(context.node({ service }));
      const gone = await here.register(context.node({ service: `${context.service}-gone` }));
      await gone.close();
      await eventually(async () => {
        const listed = await there.list();
        assert.deepEqual(
          listed.filter((name) => name.startsWith(context.service)),
          [...names].sort(),
        );
      });
    }),

    withBackend("starts a watch with a snapshot, and reports each change once", async (context) => {
      const [here, there] = [context.connect(), context.connect()];
      const first = context.node();
      const second = context.node();
      await here.register(first);
      const watch = context.watch(there);
      assert.deepEqual(brief(await watch.take()), { type: "snapshot", ids: [first.id] });
      const registration = await here.register(second);
      assert.deepEqual(brief(await watch.take()), { type: "added", ids: [second.id] });
      await here.register({ ...first, version: "2" });
      assert.deepEqual(brief(await watch.take()), { type: "updated", ids: [first.id] });
      await here.register({ ...first, version: "2" });
      await registration.close();
      assert.deepEqual(brief(await watch.take()), { type: "removed", ids: [second.id] });
      assert.deepEqual(plain(watch.nodes.get(first.id)), { ...first, version: "2" });
    }),

    withBackend("watches a service without nodes", async (context) => {
      const [here, there] = [context.connect(), context.connect()];
      const watch = context.watch(there);
      assert.deepEqual(brief(await watch.take()), { type: "snapshot", ids: [] });
      const node = context.node();
      await here.register(node);
      assert.deepEqual(brief(await watch.take()), { type: "added", ids: [node.id] });
    }),

    withBackend("forgets a deregistered node everywhere within 500 ms", async (context) => {
      const [here, there] = [context.connect(), context.connect()];
      const registration = await here.register(context.node());
      const watch = context.watch(there);
      await watch.until(({ nodes }) => nodes.size === 1);
      await registration.close();
      await watch.until(({ nodes }) => nodes.size === 0, 500);
      await registration.close();
      assert.equal(registration.active, false);
      await eventually(async () => assert.deepEqual(await there.get(context.service), []), 500);
      assert.deepEqual(await here.get(context.service), []);
    }),

    withBackend("replaces the record of an id that is registered again", async (context) => {
      const [here, there, third] = [context.connect(), context.connect(), context.connect()];
      const node = context.node();
      const watch = context.watch(third);
      const first = await here.register(node);
      await watch.until(({ nodes }) => nodes.size === 1);
      const second = await here.register({ ...node, metadata: { generation: "2" } });
      await watch.until(({ nodes }) => nodes.get(node.id)?.metadata.generation === "2");
      await first.close();
      assert.equal(first.active, false);
      assert.equal(second.active, true);
      await there.register({ ...node, metadata: { generation: "3" } });
      await watch.until(({ nodes }) => nodes.get(node.id)?.metadata.generation === "3");
      await eventually(async () => assert.equal(second.active, false));
      await second.close();
      await sleep(100);
      assert.deepEqual(
        (await third.get(context.service)).map(({ id, metadata }) => [id, metadata.generation]),
        [[node.id, "3"]],
      );
      assert.equal(
        watch.events.some(({ type }) => type === "removed"),
        false,
        "the end of an earlier registration removed its successor",
      );
    }),

    withBackend("keeps many nodes and versions of one service apart", async (context) => {
      const [here, there] = [context.connect(), context.connect()];
      const nodes = range(60).map((n) => context.node({ version: `v${n % 3}` }));
      await Promise.all(nodes.map((node) => here.register(node)));
      await eventually(async () => {
        const found = await there.get(context.service);
        assert.deepEqual(found.map(({ id }) => id).sort(), nodes.map(({ id }) => id).sort());
        assert.equal(found.filter(({ version }) => version === "v1").length, 20);
      });
    }),

    withBackend("forgets a killed process by its ttl, and no other", async (context) => {
      if (context.connect().guarantees.liveness !== "lease") return;
      assert.ok(context.backend.spawn, "a registry with leases needs spawn");
      const ttlMs = 1_500;
      const alive = await context.connect().register(context.node(), { ttlMs });
      const doomed = context.node();
      const watch = context.watch(context.connect());
      const process = await context.backend.spawn(doomed, ttlMs);
      try {
        await watch.until(({ nodes }) => nodes.size === 2);
        await sleep(2 * ttlMs);
        assert.equal(watch.nodes.size, 2, "a living node was forgotten");
      } finally {
        await process.kill();
      }
      await watch.until(({ nodes }) => !nodes.has(doomed.id), ttlMs + 2_000);
      assert.deepEqual([...watch.nodes.keys()], [alive.node.id]);
      assert.equal(alive.active, true);
      const removed = watch.events.filter(({ type }) => type === "removed");
      assert.deepEqual(removed.map(brief), [{ type: "removed", ids: [doomed.id] }]);
    }),

    withBackend("refuses a canceled operation and ends a watch by its signal", async (context) => {
      const registry = context.connect();
      const signal = AbortSignal.abort();
      await rejects("canceled", () => registry.get(context.service, { signal }));
      await rejects("canceled", () => registry.list({ signal }));
      await rejects("canceled", () => registry.register(context.node(), { signal }));
      const ended = registry.watch(context.service, { signal })[Symbol.asyncIterator]();
      assert.equal((await ended.next()).done, true);

      const controller = new AbortController();
      const watch = registry
        .watch(context.service, { signal: controller.signal })
        [Symbol.asyncIterator]();
      await watch.next();
      const next = watch.next();
      controller.abort();
      assert.equal((await next).done, true);
      assert.equal((await watch.next()).done, true);
    }),

    withBackend(
      "ends cancelled operations, whenever the signal aborts, and keeps no node",
      async (context) => {
        const [here, there] = [context.connect(), context.connect()];
        const watch = context.watch(there);
        for (const moment of abortMoments) {
          const node = context.node();
          const registration = await abortAt(moment, (signal) => here.register(node, { signal }));
          assert.equal(registration?.active ?? true, true, moment.name);
          await registration?.close();
          const reading = { leaves: false };
          await abortAt(moment, (signal) => here.get(context.service, { signal }), reading);
          await abortAt(moment, (signal) => here.list({ signal }), reading);
        }
        // Once this has arrived, so has everything registered before it.
        const last = await here.register(context.node());
        await watch.until(({ nodes }) => nodes.size === 1 && nodes.has(last.node.id));
        await eventually(async () => {
          assert.deepEqual(
            (await here.get(context.service)).map(({ id }) => id),
            [last.node.id],
          );
        });
      },
    ),

    withBackend("ends a watch by its signal while it begins", async (context) => {
      const registry = context.connect();
      for (const moment of abortMoments) {
        const controller = new AbortController();
        const { signal } = controller;
        const watch = registry.watch(context.service, { signal })[Symbol.asyncIterator]();
        const first = watch.next();
        await moment.reached();
        controller.abort();
        const { value, done } = await first;
        assert.ok(done === true || value.type === "snapshot", moment.name);
        assert.equal((await watch.next()).done, true, moment.name);
      }
    }),

    withBackend("ends a watch by return while it waits", async (context) => {
      const watch = context.connect().watch(context.service)[Symbol.asyncIterator]();
      await watch.next();
      const next = watch.next();
      await watch.return?.();
      assert.equal((await next).done, true);
    }),

    withBackend("ends watches and registrations on close", async (context) => {
      const [here, there] = [context.connect(), context.connect()];
      const registration = await here.register(context.node());
      const watch = here.watch(context.service)[Symbol.asyncIterator]();
      const other = context.watch(there);
      await watch.next();
      await other.until(({ nodes }) => nodes.size === 1);
      const next = watch.next();
      await Promise.all([here.close(), here.close()]);
      await here.close();
      assert.equal((await next).done, true);
      assert.equal(registration.active, false);
      await registration.close();
      await other.until(({ nodes }) => nodes.size === 0, 500);
      await rejects("unavailable", () => here.get(context.service));
      await rejects("unavailable", () => here.list());
      await rejects("unavailable", () => here.register(context.node()));
      const late = here.watch(context.service)[Symbol.asyncIterator]();
      assert.equal((await late.next()).done, true);
    }),

    withBackend("refuses hostile records and names the field", async (context) => {
      const registry = context.connect();
      for (const address of hostileAddresses) {
        const error = await rejects("invalid_argument", () =>
          registry.register(context.node({ address })),
        );
        assert.match(error.message, /address/, JSON.stringify(address));
      }
      for (const [field, part] of hostileFields) {
        const node = { ...context.node(), ...part } as unknown as Node;
        const error = await rejects("invalid_argument", () => registry.register(node));
        assert.ok(error.message.includes(`: ${field} `), `${field} in "${error.message}"`);
        assert.ok(error.message.length < 500);
      }
      for (const ttlMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
        await rejects("invalid_argument", () => registry.register(context.node(), { ttlMs }));
      }
      await rejects("invalid_argument", () => registry.get("*"));
      assert.deepEqual(await registry.get(context.service), []);
    }),

    withBackend("sends a slow watcher a snapshot instead of many events", async (context) => {
      const registry = context.connect();
      const node = context.node();
      await registry.register(node);
      const watch = registry.watch(context.service)[Symbol.asyncIterator]();
      assert.equal((await watch.next()).value?.type, "snapshot");
      for (const n of range(400)) await registry.register({ ...node, version: `${n + 1}` });
      const late = context.node();
      await registry.register(late);
      const fold = new Fold();
      let taken = 0;
      let snapshots = 0;
      fold.apply({ type: "snapshot", nodes: [node] });
      while (fold.nodes.get(node.id)?.version !== "400" || !fold.nodes.has(late.id)) {
        const event: RegistryEvent | undefined = (await watch.next()).value;
        assert.ok(event);
        fold.apply(event);
        taken++;
        if (event.type === "snapshot") snapshots++;
      }
      assert.ok(taken <= 300, `${taken} events`);
      assert.ok(snapshots > 0);
      const registration = await registry.register(context.node());
      fold.apply((await watch.next()).value as RegistryEvent);
      assert.ok(fold.nodes.has(registration.node.id));
      fold.assertOrdered();
      await watch.return?.();
    }),

    withBackend("serves many watches of one service", async (context) => {
      const registry = context.connect();
      const warnings: Error[] = [];
      const onWarning = (warning: Error): void => void warnings.push(warning);
      process.on("warning", onWarning);
      try {
        const watches = range(200).map(() => context.watch(registry));
        const node = context.node();
        await registry.register(node);
        for (const watch of watches) await watch.until(({ nodes }) => nodes.has(node.id));
        assert.deepEqual(warnings, []);
      } finally {
        process.off("warning", onWarning);
      }
    }),

    withBackend(
      "reports events that add up to what get returns, after any changes",
      async (context) => {
        const random = seededRandom(17);
        const [here, there, third] = [context.connect(), context.connect(), context.connect()];
        const watches = [here, there, third].map((registry) => context.watch(registry));
        const nodes = range(12).map(() => context.node());
        const registered = new Map<string, { node: Node; close(): Promise<void> }>();
        for (const n of range(250)) {
          const base = nodes[Math.floor(random() * nodes.length)] ?? context.node();
          const before = registered.get(base.id);
          if (before !== undefined && random() < 0.4) {
            registered.delete(base.id);
            await before.close();
          } else {
            // A change of owner between two processes is another case.
            const owner = nodes.indexOf(base) % 2 === 0 ? here : there;
            registered.set(base.id, await owner.register({ ...base, version: `${n}` }));
          }
          if (random() < 0.1) await sleep(random() * 5);
        }
        const expected = new Map([...registered].map(([id, { node }]) => [id, node.version]));
        for (const watch of watches) {
          await watch.until(({ nodes }) => sameVersions(nodes, expected));
          watch.assertOrdered();
        }
        for (const registry of [here, there, third]) {
          await eventually(async () => {
            const found = await registry.get(context.service);
            assert.ok(sameVersions(new Map(found.map((node) => [node.id, node])), expected));
          });
        }
      },
    ),
  ];
}

class Context {
  readonly backend: RegistryBackend;
  readonly service = `contract-${randomUUID().slice(0, 8)}`;
  readonly #registries: Registry[] = [];
  readonly #watches: Watching[] = [];
  #ids = 0;

  constructor(backend: RegistryBackend) {
    this.backend = backend;
  }

  connect(): Registry {
    const registry = this.backend.connect();
    this.#registries.push(registry);
    return registry;
  }

  node(part: Partial<Node> = {}): Node {
    const id = `${this.service}-${++this.#ids}`;
    const address = `127.0.0.1:${10_000 + this.#ids}`;
    const rest = { version: "1", metadata: {}, endpoints: [] };
    return { id, service: this.service, address, ...rest, ...part };
  }

  watch(registry: Registry): Watching {
    const watching = new Watching(registry.watch(this.service));
    this.#watches.push(watching);
    return watching;
  }

  async close(): Promise<void> {
    for (const registry of this.#registries) await registry.close();
    for (const watch of this.#watches) await watch.ended;
    await this.backend.close?.();
  }
}

/** Folds events into the resulting nodes. */
class Fold {
  readonly nodes = new Map<string, Node>();
  readonly #faults: string[] = [];
  #begun = false;

  apply(event: RegistryEvent): void {
    if (event.type === "snapshot") {
      this.nodes.clear();
      for (const node of event.nodes) this.nodes.set(node.id, node);
    } else {
      const { node, type } = event;
      const fits = this.nodes.has(node.id) === (type !== "added");
      if (!fits || !this.#begun) this.#faults.push(`${type} ${node.id}`);
      if (type === "removed") this.nodes.delete(node.id);
      else this.nodes.set(node.id, node);
    }
    this.#begun = true;
  }

  /**
   * The first event was a snapshot, only absent nodes were added, and only present nodes changed.
   */
  assertOrdered(): void {
    assert.deepEqual(this.#faults, []);
  }
}

/** Reads a watch to its end and keeps the result of its events. */
class Watching extends Fold {
  readonly events: RegistryEvent[] = [];
  readonly ended: Promise<void>;
  #taken = 0;
  #woken: () => void = () => {};

  constructor(events: AsyncIterable<RegistryEvent>) {
    super();
    this.ended = this.#read(events);
  }

  /** The next event that was not taken yet. */
  async take(): Promise<RegistryEvent> {
    await this.until(({ events }) => events.length > this.#taken);
    const event = this.events[this.#taken++];
    assert.ok(event);
    return event;
  }

  async until(condition: (watching: Watching) => boolean, timeoutMs = 8_000): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (!condition(this)) {
      const left = end - performance.now();
      if (left <= 0) {
        const known = [...this.nodes.values()].map(({ id, version }) => `${id}@${version}`);
        assert.fail(`not within ${timeoutMs} ms; known: ${known.join(", ")}`);
      }
      await Promise.race([
        new Promise<void>((resolve) => {
          this.#woken = resolve;
        }),
        sleep(Math.min(left, 50)),
      ]);
    }
  }

  async #read(events: AsyncIterable<RegistryEvent>): Promise<void> {
    for await (const event of events) {
      this.apply(event);
      this.events.push(event);
      this.#woken();
    }
  }
}

function sameVersions(
  nodes: ReadonlyMap<string, Node>,
  expected: ReadonlyMap<string, string>,
): boolean {
  return (
    nodes.size === expected.size &&
    [...expected].every(([id, version]) => nodes.get(id)?.version === version)
  );
}

function brief(event: RegistryEvent): { type: string; ids: string[] } {
  const nodes = event.type === "snapshot" ? event.nodes : [event.node];
  return { type: event.type, ids: nodes.map(({ id }) => id) };
}

/** The record without the differences between implementations' objects. */
function plain(node: Node | undefined): Node | undefined {
  return node === undefined ? undefined : (JSON.parse(JSON.stringify(node)) as Node);
}

function endpoint(name: string): Node["endpoints"][number] {
  return { name, metadata: {} };
}

function range(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index);
}

async function rejects(code: Code, run: () => Promise<unknown>): Promise<MicroError> {
  try {
    await run();
  } catch (error) {
    assert.ok(error instanceof MicroError, `not a MicroError: ${error}`);
    assert.equal(error.code, code, error.message);
    return error;
  }
  return assert.fail(`resolved, and did not reject with ${code}`);
}

async function eventually(check: () => Promise<void>, timeoutMs = 8_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(10);
    }
  }
}
