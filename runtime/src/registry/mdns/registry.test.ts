import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { deflateSync } from "node:zlib";
import { encode } from "dns-packet";
import { afterEach, describe, expect, test, vi } from "vitest";
import { startRegistryProcess } from "../../../../test/support/registry-process.ts";
import { type Logger, silentLogger } from "../../base/logger.ts";
import { memoryBroker } from "../../broker/memory/broker.ts";
import { createService } from "../../service/create-service.ts";
import type { Node, RegistryEvent } from "../registry.ts";
import { toInstance } from "./instance.ts";
import {
  encodeAnnouncement,
  encodeAnswer,
  encodeGoodbye,
  encodeQuery,
  type Instance,
} from "./packet.ts";
import { decodePacket } from "./read-packet.ts";
import { type MdnsRegistryOptions, mdnsRegistry } from "./registry.ts";
import { decodeText } from "./txt-record.ts";

const link = {
  interface: "127.0.0.1",
  group: "239.77.105.98",
  port: 20_000 + (process.pid % 20_000),
  timeoutMs: 250,
} satisfies MdnsRegistryOptions;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function open(options: MdnsRegistryOptions = {}) {
  const registry = mdnsRegistry({ ...link, ...options });
  closers.push(() => registry.close());
  return registry;
}

let ids = 0;
function newNode(part: Partial<Node> = {}): Node {
  const service = part.service ?? `svc${process.pid}-${++ids}`;
  return {
    id: `${service}-${++ids}`,
    service,
    version: "1",
    address: "127.0.0.1:8080",
    metadata: {},
    endpoints: [],
    ...part,
  };
}

/** A program on the same link that does not use this runtime: it sends and receives raw packets. */
class Peer {
  readonly socket: Socket;
  readonly queries: { name: string; type: string }[] = [];
  answering = true;
  readonly #instances: Instance[];

  static async start(instances: Instance[] = []): Promise<Peer> {
    const socket = createSocket({ type: "udp4", reuseAddr: true });
    socket.bind(link.port, "0.0.0.0");
    await once(socket, "listening");
    socket.addMembership(link.group, "127.0.0.1");
    socket.setMulticastInterface("127.0.0.1");
    const peer = new Peer(socket, instances);
    closers.push(() => new Promise<void>((resolve) => socket.close(() => resolve())));
    return peer;
  }

  constructor(socket: Socket, instances: Instance[]) {
    this.socket = socket;
    this.#instances = instances;
    socket.on("message", (bytes, from) => {
      // Its own packets, which come back to it.
      if (from.port === link.port) return;
      const packet = decodePacket(bytes);
      if (packet.kind !== "query") return;
      for (const question of packet.questions) {
        this.queries.push(question);
        for (const instance of this.#instances) {
          const asked = question.name === instance.service || question.name === instance.name;
          if (!asked || !this.answering) continue;
          socket.send(encodeAnswer(instance, question, 0), from.port, from.address);
        }
      }
    });
  }

  send(packet: Uint8Array): void {
    this.socket.send(packet, link.port, link.group);
  }
}

/** The records of a node as go-micro writes them: without a marker. */
async function goInstance(node: Node, part: Record<string, unknown> = {}): Promise<Instance> {
  const { instance } = await toInstance(node, "micro", { ttlMs: 1_000, revision: 1 });
  const { metadata: Metadata, service: Service, version: Version } = node;
  const json = JSON.stringify({ Metadata, Service, Version, Endpoints: null, ...part });
  const hex = deflateSync(json).toString("hex");
  const text = (hex.match(/.{1,255}/g) ?? []).map((each) => Buffer.from(each));
  return { ...instance, text };
}

async function* typesOf(events: AsyncIterable<RegistryEvent>): AsyncGenerator<string> {
  for await (const event of events) yield event.type;
}

describe("with go-micro's nodes", () => {
  test("finds one by a query, and keeps it although it never announces itself again", async () => {
    const node = newNode({ metadata: { protocol: "mucp" } });
    const peer = await Peer.start([await goInstance(node)]);
    const registry = open({ peerTtlMs: 300 });
    const watch = typesOf(registry.watch(node.service));
    expect((await watch.next()).value).toBe("snapshot");
    expect(await registry.get(node.service)).toEqual([node]);
    await sleep(900);
    expect(await registry.get(node.service)).toEqual([node]);
    peer.answering = false;
    expect((await watch.next()).value).toBe("removed");
    expect(registry.stats.expired).toBe(1);
    await watch.return(undefined);
  });

  test("handles announcements and goodbyes", async () => {
    const node = newNode();
    const instance = await goInstance(node);
    const peer = await Peer.start();
    const registry = open();
    const watch = typesOf(registry.watch(node.service));
    await watch.next();
    peer.send(encodeAnnouncement(instance));
    expect((await watch.next()).value).toBe("added");
    peer.send(encodeGoodbye(instance));
    expect((await watch.next()).value).toBe("removed");
    await watch.return(undefined);
  });

  test("replies to their queries at the source port, with the question repeated", async () => {
    const node = newNode();
    const registry = open();
    await registry.register(node);
    const client = createSocket("udp4");
    client.bind(0, "127.0.0.1");
    await once(client, "listening");
    closers.push(() => client.close());
    client.setMulticastInterface("127.0.0.1");
    const ask = async (name: string, type: string, unicast = false) => {
      const query = encode({ type: "query", id: 77, questions: [{ name, type: type as "PTR" }] });
      if (unicast) query.writeUInt16BE(0x8001, query.length - 2);
      client.send(query, link.port, link.group);
      const [bytes] = (await once(client, "message")) as [Buffer];
      return bytes;
    };
    const service = `${node.service}.micro`;
    const answer = await ask(service, "PTR");
    const { instance } = await toInstance(node, "micro", { ttlMs: 1, revision: 1 });
    expect(answer.subarray(0, 12).toString("hex")).toBe("000084000001000400000000");
    expect(answer.includes(service.split(".")[0] ?? "")).toBe(true);
    expect(decodePacket(answer)).toMatchObject({
      pointers: [instance.name],
      seen: [{ name: instance.name, port: 8_080, host: "127.0.0.1" }],
    });
    expect((await ask(service, "PTR", true)).readUInt16BE(0)).toBe(77);
    for (const type of ["ANY", "SRV", "TXT", "A"]) {
      const records = decodePacket(await ask(instance.name, type));
      expect(records).toMatchObject({ pointers: [], seen: [{ name: instance.name }] });
    }
    expect(decodePacket(await ask("_services.micro", "PTR"))).toMatchObject({
      pointers: [`${node.service}._services.micro`],
    });
  });

  test("lists their services", async () => {
    const name = `listed-${process.pid}`;
    const { toListed } = await import("./instance.ts");
    await Peer.start([toListed(name, "micro")]);
    expect(await open().list()).toContain(name);
  });
});

describe("with nodes of its own kind", () => {
  const ours = async (node: Node, revision: number): Promise<Instance> =>
    (await toInstance(node, "micro", { ttlMs: 60_000, revision })).instance;

  test("is notified of every node at each third of its ttl, without queries", async () => {
    const peer = await Peer.start();
    let announcements = 0;
    peer.socket.on("message", (bytes) => {
      if (decodePacket(bytes).kind === "response") announcements++;
    });
    await open().register(newNode(), { ttlMs: 300 });
    await vi.waitFor(() => expect(announcements).toBeGreaterThan(8), 10_000);
    expect(peer.queries.filter(({ type }) => type === "ANY")).toEqual([]);
  });

  test("does not let leftovers of an earlier registration change a later one", async () => {
    const node = newNode();
    const [old, current] = [await ours(node, 1), await ours({ ...node, version: "2" }, 2)];
    const peer = await Peer.start();
    const registry = open();
    const watch = registry.watch(node.service)[Symbol.asyncIterator]();
    await watch.next();
    peer.send(encodeAnnouncement(current));
    expect((await watch.next()).value).toMatchObject({ type: "added", node: { version: "2" } });
    const go = await goInstance(node);
    for (const stale of [old, go]) peer.send(encodeGoodbye(stale));
    peer.send(encodeAnnouncement(old));
    const updated = await ours({ ...node, version: "2b" }, 2.5);
    peer.send(encodeAnnouncement(updated));
    expect((await watch.next()).value).toMatchObject({ type: "updated", node: { version: "2b" } });
    peer.send(encodeGoodbye(updated));
    // A reply that was in transit when the goodbye overtook it.
    peer.send(encodeAnnouncement(updated));
    peer.send(encodeAnnouncement(await ours({ ...node, version: "3" }, 3)));
    expect((await watch.next()).value).toMatchObject({ type: "removed", node: { version: "2b" } });
    expect((await watch.next()).value).toMatchObject({ type: "added", node: { version: "3" } });
    await watch.return?.();
  });

  test("keeps all nodes after it was paused itself", async () => {
    const node = newNode();
    const registry = open();
    const types: string[] = [];
    const reading = (async () => {
      for await (const type of typesOf(registry.watch(node.service))) types.push(type);
    })();
    await vi.waitFor(() => expect(types).toEqual(["snapshot"]), 10_000);
    const peer = await startRegistryProcess(node, 1_500, { mdns: link });
    try {
      await vi.waitFor(() => expect(types).toContain("added"), 10_000);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_500);
      await sleep(500);
      expect(types).toEqual(["snapshot", "added"]);
    } finally {
      await peer.stop();
    }
    await registry.close();
    await reading;
  });
});

describe("with hostile packets", () => {
  test("ignores them, counts them, and keeps working", async () => {
    const node = newNode();
    const { service } = node;
    const peer = await Peer.start();
    const registry = open();
    const watch = registry.watch(service)[Symbol.asyncIterator]();
    await watch.next();
    const good = await goInstance(node);
    const hostile: Instance[] = [
      { ...good, ipv4: "169.254.169.254" },
      { ...good, ipv4: "0.0.0.0" },
      { ...good, ipv4: "224.0.0.1" },
      { ...good, ipv4: undefined, ipv6: "::ffff:169.254.169.254" },
      { ...good, ipv4: undefined },
      { ...good, port: 0 },
      await goInstance(node, { Metadata: { big: "x".repeat(1024 * 1024) } }),
      await goInstance(node, { Metadata: { big: "x".repeat(100_000) } }),
      await goInstance(node, { Metadata: { a: 1 } }),
      await goInstance(node, { Metadata: "text" }),
      await goInstance(node, { Version: "\u0000" }),
      await goInstance(node, { Endpoints: [{}] }),
      await goInstance(node, { Endpoints: "text" }),
      await goInstance(node, { MicroES: { ttlMs: 1, revision: 1, address: "memory:here" } }),
      await goInstance(node, { MicroES: { ttlMs: 1, revision: 1, address: "http://a" } }),
      await goInstance(node, { MicroES: { ttlMs: 1, revision: 1, id: "victim" } }),
      await goInstance(node, { MicroES: { ttlMs: -1, revision: 1 } }),
      { ...good, text: [Buffer.from("no hex")] },
      { ...good, text: [] },
    ];
    for (const instance of hostile) peer.send(encodeAnnouncement(instance));
    for (const length of [0, 1, 11, 12, 200, 9_000]) peer.send(Buffer.alloc(length, 0xc1));
    const { stats } = registry;
    peer.send(encodeAnnouncement(good));
    const event = (await watch.next()).value as RegistryEvent;
    expect(event).toEqual({ type: "added", node });
    const after = registry.stats;
    expect(after.refused + after.malformed - stats.refused - stats.malformed).toBe(
      hostile.length + 6,
    );
    expect(await registry.get(service)).toEqual([node]);
    await watch.return?.();
  });

  /** Sends raw packets from an address of this machine. */
  async function stranger(host: string): Promise<Socket> {
    const socket = createSocket("udp4");
    socket.bind(0, host);
    await once(socket, "listening");
    socket.setMulticastInterface("127.0.0.1");
    closers.push(() => socket.close());
    return socket;
  }

  const forged = async (node: Node, revision: number): Promise<Instance> =>
    (await toInstance(node, "micro", { ttlMs: 60_000, revision })).instance;

  test("reannounces a node after a forged goodbye", async () => {
    const node = newNode();
    const errors: string[] = [];
    const logger = { ...silentLogger, error: (_: object, message: string) => errors.push(message) };
    const owner = open({ logger });
    await owner.register(node);
    const watch = typesOf(open().watch(node.service));
    expect((await watch.next()).value).toBe("snapshot");
    const socket = await stranger("127.0.0.1");
    for (let revision = Date.now() + 1_000; revision < Date.now() + 1_020; revision++) {
      socket.send(encodeGoodbye(await forged(node, revision)), link.port, link.group);
    }
    expect((await watch.next()).value).toBe("removed");
    expect((await watch.next()).value).toBe("added");
    expect(owner.stats.contradicted).toBeGreaterThan(0);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/said goodbye for this node/);
    await watch.return(undefined);
  });

  test("queries a node when another machine sends its goodbye", async () => {
    const node = newNode();
    const peer = await Peer.start([await forged(node, 7)]);
    const registry = open();
    const watch = typesOf(registry.watch(node.service));
    await watch.next();
    expect(await registry.get(node.service)).toEqual([node]);
    const asked = () => peer.queries.filter(({ type }) => type === "ANY").length;
    const socket = await stranger("127.0.0.2");
    const goodbye = encodeGoodbye(await forged(node, 8));
    socket.send(goodbye, link.port, link.group);
    await vi.waitFor(() => expect(asked()).toBe(1), 10_000);
    await sleep(300);
    expect(await registry.get(node.service)).toEqual([node]);
    peer.answering = false;
    socket.send(goodbye, link.port, link.group);
    expect((await watch.next()).value).toBe("removed");
    await watch.return(undefined);
  });

  test("keeps the first announcement of a revision, and the owner contradicts others", async () => {
    const node = newNode();
    const owner = open();
    await owner.register(node);
    const registry = open();
    expect(await registry.get(node.service)).toEqual([node]);
    const client = await stranger("127.0.0.1");
    client.send(encodeQuery(`${node.service}.micro`, "PTR", 1), link.port, link.group);
    const [bytes] = (await once(client, "message")) as [Buffer];
    const packet = decodePacket(bytes);
    const [seen] = packet.kind === "response" ? packet.seen : [];
    const { marker } = decodeText(seen?.text ?? Buffer.alloc(0));
    const other = await forged({ ...node, address: "127.0.0.1:6666" }, marker?.revision ?? 0);
    client.send(encodeAnnouncement(other), link.port, link.group);
    await vi.waitFor(() => expect(owner.stats.contradicted).toBe(1), 10_000);
    expect(await registry.get(node.service)).toEqual([node]);
  });

  test("accepts no record from the far future", async () => {
    const node = newNode();
    const owner = open();
    const registration = await owner.register(node);
    const socket = await stranger("127.0.0.1");
    const other = await forged({ ...node, address: "127.0.0.1:6666" }, 9e15);
    socket.send(encodeAnnouncement(other), link.port, link.group);
    await vi.waitFor(() => expect(owner.stats.malformed).toBe(1), 10_000);
    expect(registration.active).toBe(true);
  });

  test("gives a server whose id is taken a new one", async () => {
    const errors: string[] = [];
    const logger = { ...silentLogger, error: (_: object, message: string) => errors.push(message) };
    const name = `taken-${process.pid}`;
    const service = createService({
      name,
      address: "127.0.0.1:0",
      registry: open(),
      broker: memoryBroker(),
      logger,
    });
    await service.start();
    closers.push(() => service.close());
    const registry = open();
    const [first] = await registry.get(name);
    if (first === undefined) throw new Error("the service was not found");
    const socket = await stranger("127.0.0.1");
    const other = await forged({ ...first, address: "127.0.0.1:6666" }, Date.now() + 60_000);
    socket.send(encodeAnnouncement(other), link.port, link.group);
    await vi.waitFor(async () => {
      const nodes = await registry.get(name);
      expect(nodes.filter(({ address }) => address === first.address)).toHaveLength(1);
      expect(nodes).toHaveLength(2);
    }, 10_000);
    expect(errors.some((message) => message.includes("registered again under a new one"))).toBe(
      true,
    );
  });

  test("replies once with each record, and with none that the sender knows or for too many questions", async () => {
    const node = newNode();
    const registry = open();
    await registry.register(node);
    const client = await stranger("127.0.0.1");
    let answers = 0;
    client.on("message", () => answers++);
    const query = (count: number, part: object = {}) =>
      client.send(
        encode({
          type: "query",
          id: 1,
          questions: Array.from({ length: count }, () => ({
            type: "PTR",
            name: `${node.service}.micro`,
          })),
          ...part,
        }),
        link.port,
        link.group,
      );
    query(500);
    query(1, {
      answers: [
        {
          type: "PTR",
          name: `${node.service}.micro`,
          ttl: 120,
          data: `${node.id}.${node.service}.micro`,
        },
      ],
    });
    query(60);
    await vi.waitFor(() => expect(answers).toBe(1), 10_000);
    expect(registry.stats.malformed).toBe(1);
    expect(registry.stats.answers).toBe(1);
  });

  test("sends no machine more than its share", async () => {
    const registry = open();
    const metadata = { noise: Array.from({ length: 400 }, () => Math.random()).join("") };
    const node = newNode({ metadata });
    await registry.register(node);
    const client = await stranger("127.0.0.1");
    let bytes = 0;
    client.on("message", (message) => {
      bytes += message.length;
    });
    const query = encode({
      type: "query",
      questions: [{ type: "PTR", name: `${node.service}.micro` }],
    });
    await vi.waitFor(() => {
      for (let sent = 0; sent < 50; sent++) client.send(query, link.port, link.group);
      expect(registry.stats.unanswered).toBeGreaterThan(500);
    }, 10_000);
    expect(bytes).toBeLessThan(2_000_000);
  });

  test("asks its policy which addresses may be dialed", async () => {
    const [allowed, forbidden] = [newNode({ service: "policy" }), newNode({ service: "policy" })];
    const addresses = { [allowed.id]: "10.0.0.1:80", [forbidden.id]: "10.0.0.2:80" };
    await Peer.start([
      await goInstance({ ...allowed, address: addresses[allowed.id] ?? "" }),
      await goInstance({ ...forbidden, address: addresses[forbidden.id] ?? "" }),
    ]);
    const asked: unknown[] = [];
    const registry = open({
      allowAddress: (address, source) => {
        asked.push([address, source.local]);
        return address === "10.0.0.1:80";
      },
    });
    expect((await registry.get("policy")).map(({ id }) => id)).toEqual([allowed.id]);
    expect(asked).toContainEqual(["10.0.0.2:80", true]);
  });

  test("keeps no more nodes of a service than the limit", async () => {
    const peer = await Peer.start();
    const registry = open();
    const template = await goInstance(newNode({ service: "flood" }));
    const watch = registry.watch("flood")[Symbol.asyncIterator]();
    await watch.next();
    // Repeats until it overflows, because packets get lost.
    for (let n = 0; registry.stats.overflow === 0 && n < 50_000; n++) {
      peer.send(encodeAnnouncement({ ...template, name: `n${n}.flood.micro` }));
      if (n % 50 === 0) await new Promise(setImmediate);
    }
    expect((await registry.get("flood")).length).toBe(4_096);
    await watch.return?.();
  });

  test("drops unused services before those in use", async () => {
    const registry = open({ maxServices: 2, timeoutMs: 20 });
    const watch = registry.watch("kept")[Symbol.asyncIterator]();
    await watch.next();
    for (const service of ["a", "b", "c"]) await registry.get(service);
    const second = registry.watch("also-kept")[Symbol.asyncIterator]();
    await second.next();
    await expect(registry.get("one-too-many")).rejects.toMatchObject({
      code: "resource_exhausted",
    });
    await watch.return?.();
    expect(await registry.get("one-too-many")).toEqual([]);
    await second.return?.();
  });
});

describe("between processes", () => {
  test("survives a pause of a node's process and finds it again at once", async () => {
    const node = newNode();
    const registry = open();
    const types = typesOf(registry.watch(node.service));
    await types.next();
    const peer = await startRegistryProcess(node, 600, { mdns: link });
    try {
      expect((await types.next()).value).toBe("added");
      peer.signal("SIGSTOP");
      expect((await types.next()).value).toBe("removed");
      peer.signal("SIGCONT");
      expect((await types.next()).value).toBe("added");
      expect(await registry.get(node.service)).toEqual([node]);
    } finally {
      peer.signal("SIGCONT");
      const code = await peer.stop();
      expect(code, "the process did not end by itself after close").toBe(0);
    }
    expect((await types.next()).value).toBe("removed");
    await types.return(undefined);
  });

  test("logs that a record was reduced to fit", async () => {
    const warnings: unknown[] = [];
    const logger = {
      debug() {},
      info() {},
      error() {},
      warn: (fields: unknown) => warnings.push(fields),
    };
    const registry = open({ logger: logger as Logger });
    const other = open();
    const random = () => Array.from({ length: 30 }, () => Math.random().toString(36)).join("");
    const endpoints = Array.from({ length: 60 }, (_, index) => ({
      name: `E${index}`,
      metadata: { description: random() },
    }));
    const node = newNode({ endpoints });
    await registry.register(node);
    expect(warnings).toMatchObject([{ id: node.id, dropped: "long endpoint metadata" }]);
    const [found] = await other.get(node.service);
    expect(found?.endpoints.map(({ name }) => name)).toEqual(endpoints.map(({ name }) => name));
  });
});

describe("after close", () => {
  test("leaves no socket", async () => {
    const sockets = () => process.getActiveResourcesInfo().filter((name) => name === "UDPWrap");
    const registry = open();
    await registry.register(newNode());
    void registry.watch("greeter")[Symbol.asyncIterator]().next();
    await registry.get("greeter");
    expect(sockets()).not.toEqual([]);
    await registry.close();
    expect(sockets()).toEqual([]);
  });
});

describe("without a network", () => {
  test("is unavailable, says what to check, and closes", async () => {
    const registry = open({ interface: "192.0.2.250" });
    await expect(registry.register(newNode())).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("192.0.2.250"),
    });
    await expect(registry.get("greeter")).rejects.toMatchObject({ code: "unavailable" });
    await expect(registry.list()).rejects.toMatchObject({ code: "unavailable" });
  });

  test("shares the port with other programs, and refuses options that cannot work", async () => {
    const peer = await Peer.start();
    const node = newNode();
    await open().register(node);
    expect(await open().get(node.service)).toEqual([node]);
    expect(peer.queries.length).toBeGreaterThan(0);
    for (const options of [
      { group: "10.0.0.1" },
      { port: 0 },
      { timeoutMs: 0 },
      { maxServices: 0 },
    ]) {
      expect(() => mdnsRegistry(options)).toThrow(/mdnsRegistry|must be/);
    }
    expect(() => mdnsRegistry({ domain: "a/b" })).toThrow();
  });
});
