import { once } from "node:events";
import { createServer, request } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { deadlineAfter } from "../../base/deadline.ts";
import { silentLogger } from "../../base/logger.ts";
import type { Method } from "../../call/method.ts";
import { bytesCodec } from "../../codec/bytes.ts";
import { MemoryRegistryNetwork, memoryRegistry } from "../../registry/memory/registry.ts";
import type { Node, Registry } from "../../registry/registry.ts";
import { ClientConnection } from "../../transport/native/client-connection.ts";
import { defaultLimits } from "../../transport/transport.ts";
import type { IncomingEvent, OutgoingEvent } from "../broker.ts";
import { type HttpBroker, type HttpBrokerOptions, httpBroker } from "./broker.ts";
import { deliverMethod, upgradeToken } from "./event-batch.ts";

const until = (condition: () => boolean | Promise<boolean>) =>
  vi.waitUntil(condition, { timeout: 10_000, interval: 5 });

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

function network(): () => Registry {
  const shared = new MemoryRegistryNetwork();
  return () => {
    const registry = memoryRegistry({ network: shared });
    cleanups.push(() => registry.close());
    return registry;
  };
}

function broker(registry: Registry, options: Partial<HttpBrokerOptions> = {}): HttpBroker {
  const made = httpBroker({ registry, logger: silentLogger, ...options });
  cleanups.push(() => made.close());
  return made;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

const event = (text: string): OutgoingEvent => ({
  body: Buffer.from(text),
  contentType: "text/plain",
  typeName: "",
});

const textOf = (got: IncomingEvent) => Buffer.from(got.body).toString();

/** Passes connections on to an address, and keeps what clients send. */
async function tap(port = 0): Promise<{
  readonly address: string;
  readonly sent: () => string;
  readonly sockets: Socket[];
  to: string;
}> {
  const sockets: Socket[] = [];
  let sent = "";
  const server = createTcpServer((socket) => {
    const [host = "", toPort = ""] = made.to.split(":");
    const other = connect(Number(toPort), host);
    sockets.push(socket, other);
    for (const each of [socket, other]) each.on("error", () => {});
    socket.on("data", (chunk) => {
      sent += chunk.toString("latin1");
    });
    socket.pipe(other).pipe(socket);
  });
  await once(server.listen(port, "127.0.0.1"), "listening");
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const made = { address, sent: () => sent, sockets, to: "" };
  return made;
}

describe("between brokers that announce it", () => {
  test("events travel over one native connection, with all their fields", async () => {
    const registry = network();
    const between = await tap();
    const subscriber = broker(registry(), { advertise: between.address });
    const events: IncomingEvent[] = [];
    await subscriber.subscribe("orders", (got) => void events.push(got), { propagate: ["tenant"] });
    await subscriber.subscribe("orders", (got) => void events.push(got), { queue: "q" });
    between.to = subscriber.address as string;
    const publisher = broker(registry());
    const deadline = deadlineAfter(60_000);
    await Promise.all(
      Array.from({ length: 300 }, (_, index) =>
        publisher.publish(
          "orders",
          {
            ...event(`${index}`),
            typeName: index % 2 === 0 ? "" : "acme.Order",
            id: `e${index}`,
            key: "Zoë \u{1f600}",
            metadata: [
              ["tenant", "acme"],
              ["tags", "one"],
              ["tags", "two"],
              ["blob-bin", Uint8Array.of(255, 0)],
            ],
          },
          { deadline },
        ),
      ),
    );
    await until(() => events.length === 600);
    expect(between.sent().match(/^(GET|POST) .*/gm)).toHaveLength(1);
    expect(between.sent()).toMatch(/^GET \/\?id=/);
    expect(publisher.stats).toMatchObject({ published: 300, undelivered: 0 });
    const got = events.find(({ id }) => id === "e7") as IncomingEvent;
    expect(got).toMatchObject({
      topic: "orders",
      contentType: "text/plain",
      typeName: "acme.Order",
      key: "Zoë \u{1f600}",
      attempt: 1,
    });
    expect(textOf(got)).toBe("7");
    expect(got.body.constructor).toBe(Uint8Array);
    expect(got.metadata.getAll("tags")).toEqual(["one", "two"]);
    expect(got.metadata.getBinary("blob-bin")).toEqual(Uint8Array.of(255, 0));
    expect(got.propagatedMetadata.toObject()).toEqual({ tenant: "acme" });
    expect(Math.abs(got.deadline - deadline)).toBeLessThan(1_000);
    expect(events.find(({ id }) => id === "e8")?.typeName).toBe("");
  });

  test("an event of 4 MiB travels over HTTP, and one of 60,000 bytes natively", async () => {
    const registry = network();
    const between = await tap();
    const subscriber = broker(registry(), { advertise: between.address });
    const sizes: number[] = [];
    await subscriber.subscribe("large", (got) => void sizes.push(got.body.length));
    between.to = subscriber.address as string;
    const publisher = broker(registry());
    await publisher.publish("large", { ...event(""), body: new Uint8Array(60_000) });
    expect(between.sent()).not.toContain("POST");
    await publisher.publish("large", { ...event(""), body: new Uint8Array(4 * 1024 * 1024) });
    expect(between.sent()).toContain("POST");
    await until(() => sizes.length === 2);
    expect(sizes).toEqual([60_000, 4 * 1024 * 1024]);
  });

  test.each([
    ["subscriber", { native: false }, {}],
    ["publisher", {}, { native: false }],
  ])("a %s without it receives and sends events over HTTP", async (_, subscribing, publishing) => {
    const registry = network();
    const between = await tap();
    const subscriber = broker(registry(), { advertise: between.address, ...subscribing });
    const seen: string[] = [];
    await subscriber.subscribe("news", (got) => void seen.push(textOf(got)));
    between.to = subscriber.address as string;
    await broker(registry(), publishing).publish("news", event("x"));
    await until(() => seen.length === 1);
    expect(between.sent()).toMatch(/^POST \/\?id=/);
  });

  test("a process that announces it without supporting it gets its events over HTTP", async () => {
    const registry = network();
    const methods: string[] = [];
    const server = createServer((incoming, response) => {
      methods.push(incoming.method ?? "");
      incoming.resume();
      response.end();
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    cleanups.push(() => server.close());
    await registry().register(nodeAt(server.address() as AddressInfo, "news"));
    const publisher = broker(registry());
    for (const text of ["1", "2", "3"]) await publisher.publish("news", event(text));
    expect(methods).toEqual(["GET", "POST", "POST", "POST"]);
    expect(publisher.stats).toMatchObject({ published: 3, undelivered: 0 });
  });

  test("a subscriber without room loses the event, which is counted", async () => {
    const registry = network();
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const subscription = await broker(registry()).subscribe("slow", () => gate, {
      maxInFlight: 1,
      maxPending: 2,
    });
    const publisher = broker(registry());
    await publisher.publish("slow", event("first"));
    await until(() => subscription.stats.inFlight === 1);
    await Promise.all(["1", "2", "3", "4"].map((text) => publisher.publish("slow", event(text))));
    expect(publisher.stats).toMatchObject({ published: 5, undelivered: 2 });
    expect(subscription.stats).toMatchObject({ inFlight: 1, pending: 2, dropped: 2 });
    open();
  });

  test("the signal of a publication cancels it, and its event may have been sent", async () => {
    const registry = network();
    const silent = await silentSubscriber();
    await registry().register(nodeAt(silent, "news"));
    const publisher = broker(registry());
    const controller = new AbortController();
    const publishing = publisher.publish("news", event("x"), { signal: controller.signal });
    await until(() => silent.calls() > 0);
    controller.abort();
    await expect(publishing).rejects.toMatchObject({ code: "canceled", outcome: "unknown" });
  });

  test("waits once for a subscriber that does not respond, and then skips it", async () => {
    const registry = network();
    const silent = await silentSubscriber();
    await registry().register(nodeAt(silent, "news"));
    const publisher = broker(registry(), { sendTimeoutMs: 1_000 });
    for (let index = 0; index < 5; index++) await publisher.publish("news", event(`${index}`));
    expect(silent.calls()).toBe(1);
    expect(publisher.stats.undelivered).toBe(5);
  });

  test("an event whose connection is lost gets no extra time to be resent", async () => {
    const registry = network();
    const silent = await silentSubscriber(1_500);
    await registry().register(nodeAt(silent, "news"));
    const publisher = broker(registry(), { sendTimeoutMs: 2_000 });
    const began = performance.now();
    await publisher.publish("news", event("late"));
    expect(performance.now() - began).toBeLessThan(3_000);
    expect(publisher.stats.undelivered).toBe(1);
  });

  test("a lost connection is replaced, and the event sent again on the new one", async () => {
    const registry = network();
    const between = await tap();
    const subscriber = broker(registry(), { advertise: between.address });
    const seen = new Set<string>();
    await subscriber.subscribe("news", (got) => void seen.add(textOf(got)));
    between.to = subscriber.address as string;
    const publisher = broker(registry());
    for (let index = 0; index < 20; index++) {
      const publishing = [1, 2, 3].map((each) =>
        publisher.publish("news", event(`${index} ${each}`)),
      );
      if (index % 4 === 3) for (const socket of between.sockets.splice(0)) socket.destroy();
      await Promise.all(publishing);
    }
    await until(() => seen.size === 60);
    expect(publisher.stats).toMatchObject({ published: 60, undelivered: 0 });
  });
});

describe("a rolling restart", () => {
  test("of a group loses no event, repeats none and fails no publication", async () => {
    const registry = network();
    const counts = new Map<string, number>();
    const join = async () => {
      const member = broker(registry());
      await member.subscribe(
        "work",
        async (got) => {
          await turn();
          counts.set(got.id, (counts.get(got.id) ?? 0) + 1);
        },
        { queue: "q" },
      );
      return member;
    };
    const members = [await join(), await join(), await join()];
    const publisher = broker(registry());
    let over = false;
    let published = 0;
    const publishing = Array.from({ length: 16 }, async (_, lane) => {
      while (!over) {
        await publisher.publish("work", { ...event("x"), id: `${lane}-${published++}` });
        if (published % 64 === 0) await turn();
      }
    });
    for (let restart = 0; restart < 12; restart++) {
      const at = published;
      await until(() => published > at + 200);
      members.push(await join());
      await members.shift()?.close();
    }
    over = true;
    await Promise.all(publishing);
    await Promise.all(members.map((member) => member.close()));
    expect(counts.size).toBe(published);
    expect([...counts.values()].every((count) => count === 1)).toBe(true);
  });

  test("of a subscriber without a group loses only what is published while it is away", async () => {
    const registry = network();
    const seen: string[] = [];
    const join = async () => {
      const made = broker(registry());
      await made.subscribe("news", (got) => void seen.push(textOf(got)));
      return made;
    };
    const publisher = broker(registry());
    const first = await join();
    await publisher.publish("news", event("before"));
    await first.close();
    await turn();
    await publisher.publish("news", event("away"));
    await join();
    await turn();
    await publisher.publish("news", event("after"));
    await until(() => seen.includes("after"));
    expect(seen).toEqual(["before", "after"]);
    expect(publisher.stats).toMatchObject({ published: 3, undelivered: 0 });
  });
});

describe("a publisher that is not trusted", () => {
  async function subscriber(options: Partial<HttpBrokerOptions> = {}) {
    const registry = network();
    const made = broker(registry(), options);
    const events: IncomingEvent[] = [];
    await made.subscribe("orders", (got) => void events.push(got));
    const [node] = await registry().get("micro.http.broker");
    return { made, events, address: made.address as string, id: node?.id as string };
  }

  test.each([
    ["an unknown subscription", 404, { id: "unknown" }],
    ["no subscription", 404, { path: "/" }],
    ["another path", 404, { path: "/events" }],
    ["another protocol", 405, { headers: { Upgrade: "h2c" } }],
    ["another method", 405, { method: "POST" }],
    ["another host", 403, { headers: { Host: "evil.example" } }],
    ["a web page", 403, { headers: { Origin: "https://evil.example" } }],
  ])("is rejected with %s", async (_, status, wrong) => {
    const { made, address, id } = await subscriber();
    const answer = await upgrade(address, id, wrong);
    expect(answer).toBe(status);
    expect(made.stats.refused).toBe(1);
  });

  test("that asks for HTTP/2 with its request is served by HTTP/1.1", async () => {
    const { made, events, address, id } = await subscriber();
    const body = '{"Header":{"Micro-Topic":"orders"},"Body":"eA=="}';
    const asked = request(`http://${address}/?id=${id}`, {
      method: "POST",
      agent: false,
      headers: {
        "Content-Type": "application/json",
        Connection: "Upgrade, HTTP2-Settings",
        Upgrade: "h2c",
        "HTTP2-Settings": "AAMAAABk",
      },
    });
    asked.end(body);
    const [response] = await once(asked, "response");
    expect(response.statusCode).toBe(200);
    response.resume();
    await until(() => events.length === 1);
    expect(made.stats.refused).toBe(0);
  });

  test("is disconnected for invalid batches", async () => {
    const { made, events, address, id } = await subscriber({ maxEventBytes: 1_000 });
    const channel = await dial(address, id);
    const head = Buffer.concat([short(id), short("orders")]);
    const call = (batch: Buffer) => channel.unary(rawMethod, batch, outgoing());
    const invalid: [what: string, batch: Buffer][] = [
      ["nothing", Buffer.alloc(0)],
      ["an id that is cut off", Buffer.of(200, 65)],
      ["unknown flags", Buffer.concat([head, Buffer.of(8), short("e")])],
      ["an event that is cut off", Buffer.concat([head, eventOf({}).subarray(0, -1)])],
      ["a body longer than the batch", Buffer.concat([head, eventOf({ length: 0xffff_ffff })])],
      [
        "over 1,024 events",
        Buffer.concat([head, eventOf({}), ...Array.from({ length: 1_024 }, () => again)]),
      ],
    ];
    for (const [what, batch] of invalid) {
      await expect(call(batch), what).rejects.toMatchObject({ code: "invalid_argument" });
    }
    const results = await call(
      Buffer.concat([
        head,
        eventOf({ id: "" }),
        eventOf({ id: "a b" }),
        eventOf({ contentType: "a\nb" }),
        eventOf({ typeName: "../x" }),
        eventOf({ metadata: Buffer.of(0, 9, 1) }),
        eventOf({ metadata: block({ "x-y": "a\nb" }) }),
        eventOf({ metadata: block({ "micro-topic": "other" }) }),
        eventOf({ key: "k".repeat(1_025) }),
        eventOf({ body: "x".repeat(1_001) }),
        eventOf({ id: "good", body: "y" }),
      ]),
    );
    expect([...results]).toEqual([3, 3, 3, 3, 3, 3, 3, 3, 3, 0]);
    const gone = [
      Buffer.concat([short("unknown"), short("orders"), eventOf({})]),
      Buffer.concat([short(id), short("other"), eventOf({})]),
    ];
    for (const batch of gone) expect([...(await call(batch))]).toEqual([2]);
    await until(() => events.length === 1);
    expect(events[0]?.id).toBe("good");
    expect(made.stats.refused).toBe(11);
    await channel.close();
  });

  test("cannot send a message that is larger than a batch", async () => {
    const { address, id } = await subscriber();
    const channel = await dial(address, id);
    await expect(channel.unary(rawMethod, Buffer.alloc(70_000), outgoing())).rejects.toMatchObject({
      code: "resource_exhausted",
    });
    await channel.close();
  });

  test("holds at most maxConnections", async () => {
    const { made, address, id } = await subscriber({ maxConnections: 2 });
    const channels = [await dial(address, id), await dial(address, id)];
    await expect(dial(address, id)).rejects.toThrow();
    expect(made.stats.droppedConnections).toBe(1);
    for (const channel of channels) await channel.close();
  });

  test("is cut off when the broker closes", async () => {
    const { made, address, id } = await subscriber();
    const channel = await dial(address, id);
    await made.close();
    await channel.closed;
  });
});

/** The record of a subscriber that announces native delivery. */
function nodeAt({ port }: { readonly port: number }, topic: string): Node {
  return {
    id: `${topic}-${port}`,
    service: "micro.http.broker",
    version: "ff.http.broadcast",
    address: `127.0.0.1:${port}`,
    metadata: { broker: "http", topic, secure: "false", native: "1" },
    endpoints: [],
  };
}

/**
 * A subscriber that changes to the native protocol, and never responds to a batch.
 *
 * @param cutAfterMs when the first connection is lost after its batch; later ones get no response
 */
async function silentSubscriber(cutAfterMs?: number): Promise<{
  readonly port: number;
  readonly calls: () => number;
}> {
  let calls = 0;
  const server = createTcpServer((socket) => {
    socket.on("error", () => {});
    cleanups.push(() => socket.destroy());
    if (cutAfterMs !== undefined && calls > 0) return;
    socket.once("data", () => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${upgradeToken}\r\n\r\n`,
      );
      socket.on("data", (chunk) => {
        // The preface and HELLO of a server.
        if (chunk[0] === 0xb5) {
          socket.write(chunk.subarray(0, 8));
          socket.write(Buffer.from("00000000010000000000000000000000", "hex"));
        }
        if (!chunk.includes("micro.events.v1.Events/Deliver")) return;
        calls++;
        if (cutAfterMs !== undefined) setTimeout(() => socket.destroy(), cutAfterMs);
      });
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  cleanups.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, calls: () => calls };
}

interface UpgradeOptions {
  readonly id?: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Asks for the native protocol; resolves with the connection, or the status of the response. */
function upgrade(
  address: string,
  known: string,
  { id = known, path = `/?id=${id}`, method = "GET", headers = {} }: UpgradeOptions = {},
): Promise<Socket | number> {
  return new Promise((resolve, reject) => {
    const [host, port] = address.split(":");
    const asked = request({
      host,
      port,
      path,
      method,
      agent: false,
      headers: { Connection: "Upgrade", Upgrade: upgradeToken, ...headers },
    });
    asked.on("error", reject);
    asked.on("upgrade", (_, socket) => resolve(socket as Socket));
    asked.on("response", (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.end();
  });
}

async function dial(address: string, id: string): Promise<ClientConnection> {
  const socket = await upgrade(address, id);
  if (typeof socket === "number") throw new Error(`status ${socket}`);
  const channel = new ClientConnection(socket, address, defaultLimits);
  cleanups.push(() => channel.close());
  channel.greet();
  await channel.ready;
  return channel;
}

/** The method of a batch whose bytes are given. */
const rawMethod: Method<Uint8Array, Uint8Array, Uint8Array> = {
  ...deliverMethod,
  input: { ...bytesCodec, contentType: deliverMethod.input.contentType },
  output: bytesCodec,
};

const outgoing = () => ({
  deadline: deadlineAfter(10_000),
  metadata: undefined,
  signal: undefined,
  responseMetadata: undefined,
  trailers: undefined,
});

const short = (text: string) => Buffer.concat([Buffer.of(text.length), Buffer.from(text)]);
const long = (bytes: Buffer) => Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length), bytes]);
const block = (entries: Record<string, string>): Buffer => {
  // Without the checks of Metadata.
  return Buffer.concat(
    Object.entries(entries).flatMap(([key, value]) => [
      long(Buffer.from(key)),
      long(Buffer.from(value)),
    ]),
  );
};
/** An event like the previous one, without a body. */
const again = Buffer.of(0, 1, 101, 0, 0, 0, 0);

function eventOf({
  id = "e",
  contentType = "text/plain",
  typeName = "",
  key = undefined as string | undefined,
  metadata = undefined as Buffer | undefined,
  body = "",
  length = undefined as number | undefined,
}): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(length ?? body.length);
  return Buffer.concat([
    Buffer.of(1 | (key === undefined ? 0 : 2) | (metadata === undefined ? 0 : 4)),
    short(id),
    short(contentType),
    long(Buffer.from(typeName)),
    ...(key === undefined ? [] : [long(Buffer.from(key))]),
    ...(metadata === undefined ? [] : [long(metadata)]),
    size,
    Buffer.from(body),
  ]);
}
