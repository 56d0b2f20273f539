import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, request } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { silentLogger } from "../../base/logger.ts";
import { MemoryRegistryNetwork, memoryRegistry } from "../../registry/memory/registry.ts";
import type { Node, Registry } from "../../registry/registry.ts";
import type { IncomingEvent, OutgoingEvent } from "../broker.ts";
import { type HttpBroker, type HttpBrokerOptions, httpBroker } from "./broker.ts";

const until = (condition: () => boolean | Promise<boolean>) =>
  vi.waitUntil(condition, { timeout: 10_000, interval: 5 });

const cleanups: (() => Promise<unknown>)[] = [];
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

const textEvent = (text: string): OutgoingEvent => ({
  body: Buffer.from(text),
  contentType: "text/plain",
  typeName: "",
});

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Sends a request as an arbitrary peer would. */
function send(
  address: string,
  path: string,
  body: string | Buffer,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const [host, port] = address.split(":");
    const { method = "POST", headers = { "Content-Type": "application/json" } } = options;
    const sent = request({ host, port, method, path, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

interface Received {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/**
 * A subscriber as a Go process runs it: it responds to every post with 200, or with the given
 * status.
 */
async function goSubscriber(
  registry: Registry,
  topic: string,
  options: { version?: string; status?: number; id?: string; secure?: string } = {},
): Promise<{ readonly received: Received[]; readonly node: Node }> {
  const received: Received[] = [];
  const server = createServer(async (incoming, response) => {
    let body = "";
    for await (const chunk of incoming) body += chunk;
    const { method, url, headers } = incoming;
    received.push({ method, url, headers, body });
    response.writeHead(options.status ?? 200).end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  cleanups.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  const node: Node = {
    id: options.id ?? `${topic}-0d4bb2a5-5bd4-4ba8-b5fc-1e8e65f8a7c0`,
    service: "micro.http.broker",
    version: options.version ?? "ff.http.broadcast",
    address: `127.0.0.1:${port}`,
    metadata: { broker: "http", topic, secure: options.secure ?? "false" },
    endpoints: [],
  };
  await registry.register(node);
  return { received, node };
}

describe("go-micro's format, as it is sent", () => {
  test("an event is a POST of the JSON envelope to the node's id", async () => {
    const registry = network();
    const { received, node } = await goSubscriber(registry(), "orders");
    await broker(registry()).publish("orders", {
      body: Buffer.from('{"id":1}'),
      contentType: "application/json",
      typeName: "acme.Order",
      key: "Zoë",
      id: "event-1",
      metadata: [
        ["trace-parent_x", "a"],
        ["tags", "one"],
        ["tags", "two"],
        ["blob-bin", Uint8Array.from([255, 0])],
      ],
    });
    expect(received).toHaveLength(1);
    const { method, url, headers, body } = received[0] as Received;
    expect(method).toBe("POST");
    expect(url).toBe(`/?id=${node.id}`);
    expect(headers["content-type"]).toBe("application/json");
    expect(headers["transfer-encoding"]).toBeUndefined();
    expect(JSON.parse(body)).toEqual({
      Header: {
        "Content-Type": "application/json",
        "Micro-Topic": "orders",
        "Micro-ID": "event-1",
        "Micro-Type": "acme.Order",
        "Micro-Key": "Zoë",
        "Trace-Parent_x": "a",
        Tags: "one, two",
        "Blob-Bin": "/wA=",
      },
      Body: "eyJpZCI6MX0=",
    });
  });

  test("a node's id is escaped in the query", async () => {
    const registry = network();
    const { received } = await goSubscriber(registry(), "orders", { id: "a&b=c/" });
    await broker(registry()).publish("orders", textEvent("x"));
    expect(received[0]?.url).toBe("/?id=a%26b%3Dc%2F");
  });

  test("a subscription is registered as go-micro looks for it", async () => {
    const registry = network();
    const subscriber = broker(registry());
    await subscriber.subscribe("orders", () => {});
    await subscriber.subscribe("orders", () => {}, { queue: "stats" });
    const nodes = await registry().get("micro.http.broker");
    expect(nodes.map(({ version, address, metadata }) => ({ version, address, metadata }))).toEqual(
      ["ff.http.broadcast", "stats"].map((version) => ({
        version,
        address: subscriber.address,
        metadata: { broker: "http", topic: "orders", secure: "false", native: "1" },
      })),
    );
    expect(new Set(nodes.map((node) => node.id)).size).toBe(2);
    await subscriber.close();
    expect(await registry().get("micro.http.broker")).toEqual([]);
  });

  test("every Go subscriber without a queue gets an event, and one of each queue", async () => {
    const registry = network();
    const all = await Promise.all(
      [undefined, undefined, "a", "a", "b"].map((version, index) =>
        goSubscriber(registry(), "fan", {
          id: `fan-${index}`,
          ...(version === undefined ? {} : { version }),
        }),
      ),
    );
    const publisher = broker(registry());
    for (let index = 0; index < 10; index++) await publisher.publish("fan", textEvent("x"));
    const counts = all.map(({ received }) => received.length);
    expect([counts[0], counts[1], counts[4]]).toEqual([10, 10, 10]);
    expect((counts[2] ?? 0) + (counts[3] ?? 0)).toBe(10);
  });
});

describe("go-micro's format, as it is taken", () => {
  async function subscriber(options: Partial<HttpBrokerOptions> = {}) {
    const registry = network();
    const made = broker(registry(), options);
    const events: IncomingEvent[] = [];
    const subscription = await made.subscribe("orders", (event) => void events.push(event));
    const [node] = await registry().get("micro.http.broker");
    const address = made.address as string;
    return { made, events, subscription, address, path: `/?id=${node?.id}`, registry };
  }

  test("receives the events of a Go client, whatever the case of its field names", async () => {
    const { events, address, path } = await subscriber();
    const answer = await send(
      address,
      path,
      '{"Header":{"Content-Type":"application/json","Micro-Topic":"orders","Micro-ID":"7f1c","Foo-Bar":"x","User":"Zoë","Traceparent":"00-a"},"Body":"eyJpZCI6MX0="}',
    );
    expect(answer).toEqual({ status: 200, body: "" });
    await send(address, path, '{"header":{"micro-topic":"orders"},"BODY":null}');
    await until(() => events.length === 2);
    const [first, second] = events as [IncomingEvent, IncomingEvent];
    expect(Buffer.from(first.body).toString()).toBe('{"id":1}');
    expect(first).toMatchObject({
      id: "7f1c",
      topic: "orders",
      contentType: "application/json",
      typeName: "",
      key: undefined,
    });
    expect(first.metadata.toObject()).toEqual({ "foo-bar": "x", traceparent: "00-a" });
    expect(first.propagatedMetadata.toObject()).toEqual({ traceparent: "00-a" });
    expect(second.body.length).toBe(0);
    expect(second.contentType).toBe("application/protobuf");
    expect(second.id).not.toBe("");
  });

  const good = '{"Header":{"Micro-Topic":"orders"},"Body":"eA=="}';
  const json = { "Content-Type": "application/json" };

  const headersNumbered = (count: number, value = "v") =>
    Array.from({ length: count }, (_, index) => `"k${index}":"${value}"`).join(",");

  const refusals: readonly (readonly [
    what: string,
    status: number,
    body: string | Buffer,
    options: { path?: string; method?: string; headers?: Record<string, string> },
  ])[] = [
    ["not JSON", 400, "nonsense", {}],
    ["a JSON array", 400, "[]", {}],
    ["no header", 400, '{"Body":"eA=="}', {}],
    ["no topic", 400, '{"Header":{},"Body":"eA=="}', {}],
    ["an invalid topic", 400, '{"Header":{"Micro-Topic":"a.>"},"Body":"eA=="}', {}],
    ["a header that is not a string", 400, '{"Header":{"Micro-Topic":["orders"]}}', {}],
    [
      "a content type with a line break",
      400,
      '{"Header":{"Micro-Topic":"orders","Content-Type":"a\\r\\nb: c"},"Body":"eA=="}',
      {},
    ],
    [
      "a type that names no message",
      400,
      '{"Header":{"Micro-Topic":"orders","Micro-Type":"../x"},"Body":"eA=="}',
      {},
    ],
    ["a body that is not base64", 400, '{"Header":{"Micro-Topic":"orders"},"Body":"e$=="}', {}],
    ["a body that is not a string", 400, '{"Header":{"Micro-Topic":"orders"},"Body":[1]}', {}],
    ["another topic than the id's", 404, '{"Header":{"Micro-Topic":"other"},"Body":"eA=="}', {}],
    [
      "too large a header",
      413,
      `{"Header":{"Micro-Topic":"orders","A":"${"x".repeat(17_000)}"}}`,
      {},
    ],
    [
      "more headers than metadata may have",
      413,
      `{"Header":{"Micro-Topic":"orders",${headersNumbered(129)}}}`,
      {},
    ],
    [
      "60,000 headers that metadata cannot hold",
      413,
      `{"Header":{"Micro-Topic":"orders",${headersNumbered(60_000, "\u00fc")}}}`,
      {},
    ],
    ["a million values", 413, `{"Header":{},"More":[${"[],".repeat(1_000_000)}[]]}`, {}],
    ["an empty request", 400, "", {}],
    ["another method", 405, good, { method: "PUT" }],
    ["another content type", 415, good, { headers: { "Content-Type": "text/plain" } }],
    ["another path", 404, good, { path: "/events?id=1" }],
    ["an unknown id", 404, good, { path: "/?id=unknown" }],
    ["no id", 404, good, { path: "/" }],
    ["a target that is not a URL", 404, good, { path: "//[" }],
    [
      "a declared length over the limit",
      413,
      "",
      { headers: { ...json, "Content-Length": "6000000" } },
    ],
    [
      "more than the limit in chunks",
      413,
      Buffer.alloc(6_000_000, 32),
      { headers: { ...json, "Transfer-Encoding": "chunked" } },
    ],
  ];

  test.each(refusals)(
    "responds to %s with %i, and stays usable",
    async (_, status, body, options) => {
      const { events, address, path, made } = await subscriber();
      const answer = await send(address, options.path ?? path, body, options);
      expect(answer.status).toBe(status);
      expect(JSON.parse(answer.body)).toMatchObject({ id: "go.micro.broker", code: status });
      expect(made.stats.refused).toBe(1);
      expect((await send(address, path, good)).status).toBe(200);
      await until(() => events.length === 1);
    },
  );

  test("a body for an unknown id is refused before it is read", async () => {
    const { made, address } = await subscriber();
    const [host, port] = address.split(":") as [string, string];
    const socket = connect(Number(port), host);
    socket.write(
      "POST /?id=unknown HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
    );
    const [response] = (await once(socket, "data")) as [Buffer];
    expect(response.toString()).toMatch(/^HTTP\/1\.1 404 /);
    expect(made.stats.refused).toBe(1);
    socket.destroy();
  });

  test("an event may have as many values in its strings as it likes", async () => {
    const { events, address, path } = await subscriber();
    const text = `\\"${"[,{".repeat(3_000)}\\\\`;
    const body = `{"Header":{"Micro-Topic":"orders","Note":"${text}"},"Body":"eA=="}`;
    expect((await send(address, path, body)).status).toBe(200);
    await until(() => events.length === 1);
  });

  test("garbage and a truncated request on the port do no harm", async () => {
    const { events, address, path } = await subscriber();
    const [host, port] = address.split(":") as [string, string];
    for (const bytes of ["\0\0\0\0\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n{"]) {
      const socket = connect(Number(port), host);
      socket.on("error", () => {});
      socket.resume();
      await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
      socket.end();
      await once(socket, "close");
    }
    expect((await send(address, path, good)).status).toBe(200);
    await until(() => events.length === 1);
  });

  test("connections over the limit are closed and counted", async () => {
    const { made, address } = await subscriber({ maxConnections: 2 });
    const [host, port] = address.split(":") as [string, string];
    const sockets = Array.from({ length: 3 }, () => connect(Number(port), host));
    for (const socket of sockets) socket.on("error", () => {});
    await until(() => made.stats.droppedConnections === 1);
    for (const socket of sockets) socket.destroy();
  });

  test("a full subscriber responds with 503", async () => {
    const registry = network();
    const made = broker(registry());
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const limits = { maxInFlight: 1, maxPending: 1 };
    const subscription = await made.subscribe("orders", () => gate, limits);
    const [node] = await registry().get("micro.http.broker");
    const path = `/?id=${node?.id}`;
    const address = made.address as string;
    expect((await send(address, path, good)).status).toBe(200);
    expect((await send(address, path, good)).status).toBe(200);
    expect((await send(address, path, good)).status).toBe(503);
    expect(subscription.stats).toMatchObject({ inFlight: 1, pending: 1, dropped: 1 });
    open();
  });
});

describe("a publisher", () => {
  test("tries the next member of a group when one is dead, refuses or has no room", async () => {
    const registry = network();
    const { received } = await goSubscriber(registry(), "work", { version: "q", id: "well" });
    await goSubscriber(registry(), "work", { version: "q", id: "full", status: 503 });
    await goSubscriber(registry(), "work", { version: "q", id: "gone", status: 404 });
    await goSubscriber(registry(), "work", { version: "q", id: "ill", status: 500 });
    await registry().register(await deadNode("work", "q"));
    const publisher = broker(registry());
    for (let index = 0; index < 20; index++) await publisher.publish("work", textEvent(`${index}`));
    expect(received).toHaveLength(20);
  });

  test("fails when no member of a group accepts an event", async () => {
    const registry = network();
    await registry().register(await deadNode("work", "q"));
    const failed = broker(registry()).publish("work", textEvent("x"));
    await expect(failed).rejects.toMatchObject({ code: "unavailable", outcome: "not-executed" });
    await expect(failed).rejects.toThrow(/no member of queue q took event .* on work/);
  });

  test("does not fail for a subscriber outside any group, and counts what that one lost", async () => {
    const registry = network();
    await registry().register(await deadNode("news", "ff.http.broadcast"));
    const { received } = await goSubscriber(registry(), "news");
    const publisher = broker(registry());
    await publisher.publish("news", textEvent("x"));
    expect(received).toHaveLength(1);
    expect(publisher.stats).toMatchObject({ published: 1, undelivered: 1 });
  });

  test("waits once for a subscriber that does not respond, and then skips it", async () => {
    const registry = network();
    let asked = 0;
    const server = createTcpServer((socket) => {
      asked++;
      socket.resume();
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    cleanups.push(() => new Promise((resolve) => server.close(resolve)));
    const node = await deadNode("news", "ff.http.broadcast");
    await registry().register({
      ...node,
      address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    });
    const publisher = broker(registry(), { sendTimeoutMs: 30 });
    for (let index = 0; index < 5; index++) await publisher.publish("news", textEvent("x"));
    expect(asked).toBe(1);
    expect(publisher.stats.undelivered).toBe(5);
  });

  test("sends nothing to addresses that are not allowed", async () => {
    const registry = network();
    let reached = 0;
    const trap = createTcpServer((socket) => {
      reached++;
      socket.destroy();
    });
    await once(trap.listen(0, "127.0.0.1"), "listening");
    cleanups.push(() => new Promise((resolve) => trap.close(resolve)));
    const { port } = trap.address() as AddressInfo;
    const allowed: string[] = [];
    const publisher = broker(registry(), {
      allowAddress: (host, toPort) => {
        allowed.push(`${host}:${toPort}`);
        return false;
      },
    });
    const record = { ...(await deadNode("news", "ff.http.broadcast")) };
    await registry().register({ ...record, id: "ip", address: `127.0.0.1:${port}` });
    await registry().register({ ...record, id: "name", address: `localhost:${port}` });
    await registry().register({ ...record, id: "socket", address: "unix:/tmp/none" });
    await publisher.publish("news", textEvent("x"));
    expect(reached).toBe(0);
    expect(publisher.stats.undelivered).toBe(2);
    expect(allowed).toContain(`127.0.0.1:${port}`);
  });

  test.each(["169.254.169.254:80", "[::ffff:169.254.169.254]:80", "224.0.0.1:80", "[fe80::1]:80"])(
    "never sends to %s",
    async (address) => {
      const records = network()();
      await records.register(await deadNode("work", "q"));
      // A registry that does not validate its input, unlike those of the runtime.
      const careless: Registry = Object.create(records, {
        watch: {
          value: async function* (...asked: Parameters<Registry["watch"]>) {
            for await (const event of records.watch(...asked)) {
              if (event.type !== "snapshot") yield event;
              else yield { ...event, nodes: event.nodes.map((node) => ({ ...node, address })) };
            }
          },
        },
        state: { value: "healthy" },
        onStateChange: { value: () => () => {} },
      });
      const failed = broker(careless).publish("work", textEvent("x"));
      await expect(failed).rejects.toThrow(/may not go to/);
    },
  );

  test("skips records that are not of an HTTP broker or require TLS", async () => {
    const registry = network();
    const record = await deadNode("work", "q");
    const other = { ...record.metadata, broker: "nats" };
    await registry().register({ ...record, id: "other", metadata: other });
    const secure = { ...record.metadata, secure: "true" };
    await registry().register({ ...record, id: "secure", metadata: secure });
    await broker(registry()).publish("work", textEvent("x"));
  });

  test("keeps the order of a key to one subscriber when publications are awaited", async () => {
    const registry = network();
    const seen: string[] = [];
    const members = [broker(registry()), broker(registry())];
    for (const member of members) {
      await member.subscribe(
        "keys",
        async (event) => {
          await turn();
          if (event.attempt === 1 && event.id.endsWith("5")) throw new Error("once");
          seen.push(event.id);
        },
        { queue: "q", redeliveryBackoffMs: 1 },
      );
    }
    const publisher = broker(registry());
    const ids = Array.from({ length: 30 }, (_, index) => `${index}`);
    for (const id of ids) await publisher.publish("keys", { ...textEvent(""), key: "k", id });
    await until(() => seen.length === 30);
    expect(seen).toEqual(ids);
  });

  test("fails clearly when the registry cannot list the subscribers", async () => {
    const registry = network()();
    const mute: Registry = Object.create(registry, {
      watch: {
        value: (_: string, { signal }: { signal: AbortSignal }) => ({
          [Symbol.asyncIterator]: () => ({
            async next() {
              await once(signal, "abort");
              return { done: true };
            },
          }),
        }),
      },
      state: { value: "healthy" },
      onStateChange: { value: () => () => {} },
    });
    const publisher = broker(mute, { lookupTimeoutMs: 20 });
    await expect(publisher.publish("news", textEvent("x"))).rejects.toMatchObject({
      code: "unavailable",
      outcome: "not-executed",
    });
    const signal = AbortSignal.abort();
    await expect(publisher.publish("news", textEvent("x"), { signal })).rejects.toMatchObject({
      code: "canceled",
    });
  });

  test("recovers after the other side closed its idle connections", async () => {
    const registry = network();
    const subscriber = broker(registry());
    let count = 0;
    await subscriber.subscribe("news", () => void count++);
    const publisher = broker(registry());
    await publisher.publish("news", textEvent("x"));
    await subscriber.close();
    const again = broker(registry(), { address: subscriber.address as string });
    await again.subscribe("news", () => void count++);
    await turn();
    await publisher.publish("news", textEvent("x"));
    await until(() => count === 2);
    expect(publisher.stats.undelivered).toBe(0);
  });
});

test("a queue cannot have the name that go-micro uses for no queue", async () => {
  const made = broker(network()());
  await expect(
    made.subscribe("orders", () => {}, { queue: "ff.http.broadcast" }),
  ).rejects.toMatchObject({ code: "invalid_argument" });
});

test("a subscription that cannot listen or register fails, and can be tried again", async () => {
  const registry = network();
  const taken = createTcpServer();
  await once(taken.listen(0, "127.0.0.1"), "listening");
  const { port } = taken.address() as AddressInfo;
  const made = broker(registry(), { address: `127.0.0.1:${port}` });
  await expect(made.subscribe("orders", () => {})).rejects.toMatchObject({ code: "unavailable" });
  await new Promise((resolve) => taken.close(resolve));
  await made.subscribe("orders", () => {});
  expect(made.address).toBe(`127.0.0.1:${port}`);
});

test("a wildcard listener is advertised at an address that others can dial", async () => {
  const registry = network();
  const made = broker(registry(), { address: "0.0.0.0:0" });
  await made.subscribe("orders", () => {});
  const [node] = await registry().get("micro.http.broker");
  expect(node?.address).not.toContain("0.0.0.0");
  const named = broker(registry(), { advertise: "orders.internal:8080" });
  await named.subscribe("named", () => {});
  const nodes = await registry().get("micro.http.broker");
  expect(nodes.map((each) => each.address)).toContain("orders.internal:8080");
});

test("the broker is degraded while its registry is not healthy", async () => {
  const registry = network()();
  let tell: (state: "healthy" | "lost", reason: undefined) => void = () => {};
  const watched: Registry = Object.create(registry, {
    state: { value: "healthy" },
    onStateChange: {
      value: (listener: typeof tell) => {
        tell = listener;
        return () => {
          tell = () => {};
        };
      },
    },
  });
  const made = httpBroker({ registry: watched, logger: silentLogger });
  const states: string[] = [];
  made.onStateChange((state) => states.push(state));
  tell("lost", undefined);
  tell("healthy", undefined);
  await made.close();
  tell("lost", undefined);
  expect(states).toEqual(["degraded", "healthy"]);
});

/** The record of a subscriber whose process has exited. */
async function deadNode(topic: string, version: string): Promise<Node> {
  const server = createTcpServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return {
    id: `dead-${port}`,
    service: "micro.http.broker",
    version,
    address: `127.0.0.1:${port}`,
    metadata: { broker: "http", topic, secure: "false" },
    endpoints: [],
  };
}
