import { type DnsRegistryOptions, dnsRegistry } from "@micro-es/dns";
import type { Registry, RegistryEvent } from "@micro-es/runtime";
import { errorOf, recordingLogger } from "@micro-es/test-support/server";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  a,
  failureOf,
  type Query,
  responseTo,
  type Script,
  srv,
  startFakeServer,
} from "./fake-server.ts";

const echoName = "_echo._tcp.shop.test";

/** One node at `a.shop.test:8080`, with its address. */
function oneNode(query: Query, address = "10.0.0.1") {
  return responseTo(query, {
    answers: [srv(echoName, "a.shop.test", 8080)],
    additionals: [a("a.shop.test", address)],
  });
}

const serverFailure = 2;
const noSuchName = 3;

async function open(script: Script, options: DnsRegistryOptions = {}) {
  const server = await startFakeServer(script);
  const logger = recordingLogger();
  const registry = dnsRegistry({
    domain: "shop.test",
    servers: [server.address],
    logger,
    ...options,
  });
  onTestFinished(async () => {
    await registry.close();
    await server.close();
  });
  return { server, registry, logger };
}

const places = async (registry: Registry) =>
  (await registry.get("echo")).map(({ id, address }) => `${id} ${address}`);

/** The events of a watch of the service, as they come. */
function watching(registry: Registry): RegistryEvent[] {
  const events: RegistryEvent[] = [];
  void (async () => {
    for await (const event of registry.watch("echo")) events.push(event);
  })();
  return events;
}

describe("a lookup of SRV records", () => {
  test("makes nodes of them, lowest priority first", async () => {
    const { registry, server } = await open(
      (query) => [
        responseTo(query, {
          answers: [
            srv(echoName, "b.shop.test", 81, 1, 20),
            srv(echoName, "A.Shop.Test", 80, 1, 10),
            srv(echoName, ".", 0),
          ],
          additionals: [a("b.shop.test", "10.0.0.2"), a("a.SHOP.test", "10.0.0.1")],
        }),
      ],
      { metadata: { protocol: "grpc" } },
    );
    const [first, second] = await registry.get("echo");
    expect(first).toEqual({
      id: "a.shop.test:80",
      service: "echo",
      version: "",
      address: "10.0.0.1:80",
      metadata: { protocol: "grpc", priority: "10", weight: "5" },
      endpoints: [],
    });
    expect(second).toMatchObject({ id: "b.shop.test:81", metadata: { priority: "20" } });
    expect(await registry.list()).toEqual(["echo"]);
    expect(server.queries[0]).toMatchObject({ name: echoName, type: "SRV", ednsBytes: 4_096 });
  });

  test("asks for addresses that the response lacks, follows aliases and keeps families apart", async () => {
    const { registry } = await open((query) => {
      switch (`${query.name} ${query.type}`) {
        case `${echoName} SRV`:
          return [
            responseTo(query, {
              answers: [
                { type: "CNAME", name: echoName, ttl: 1, data: "real.shop.test" },
                srv("real.shop.test", "a.shop.test", 80),
                srv("real.shop.test", "six.shop.test", 80),
                srv("real.shop.test", "two.shop.test", 80),
                srv("real.shop.test", "gone.shop.test", 80),
              ],
            }),
          ];
        case "a.shop.test A":
          return [
            responseTo(query, {
              answers: [
                { type: "CNAME", name: "a.shop.test", ttl: 1, data: "host.shop.test" },
                a("host.shop.test", "10.0.0.1"),
              ],
            }),
          ];
        case "two.shop.test A":
          return [
            responseTo(query, {
              answers: [a("two.shop.test", "10.0.0.3"), a("two.shop.test", "10.0.0.2")],
            }),
          ];
        case "six.shop.test AAAA":
          return [
            responseTo(query, {
              answers: [{ type: "AAAA", name: "six.shop.test", ttl: 1, data: "fd00::1" }],
            }),
          ];
        case "gone.shop.test A":
          return [failureOf(query, noSuchName)];
        default:
          return [responseTo(query)];
      }
    });
    expect((await places(registry)).sort()).toEqual([
      "a.shop.test:80 10.0.0.1:80",
      "six.shop.test:80 [fd00::1]:80",
      "two.shop.test:80/10.0.0.2 10.0.0.2:80",
      "two.shop.test:80/10.0.0.3 10.0.0.3:80",
    ]);
  });

  test("keeps the last address of a target that cannot be looked up, and is degraded", async () => {
    let fails = false;
    const { registry } = await open((query) => {
      if (query.type === "SRV") {
        return [responseTo(query, { answers: [srv(echoName, "a.shop.test", 80)] })];
      }
      if (fails) return [failureOf(query, serverFailure)];
      return [responseTo(query, { answers: [a("a.shop.test", "10.0.0.1")] })];
    });
    expect(await places(registry)).toEqual(["a.shop.test:80 10.0.0.1:80"]);
    fails = true;
    await expect.poll(() => registry.state).toBe("degraded");
    expect(await places(registry)).toEqual(["a.shop.test:80 10.0.0.1:80"]);
    fails = false;
    await expect.poll(() => registry.state).toBe("healthy");
  });

  test("ignores records that must not be dialled", async () => {
    const { registry, logger } = await open((query) => [
      responseTo(query, {
        answers: ["any", "metadata", "good"].map((name) => srv(echoName, `${name}.shop.test`, 80)),
        additionals: [
          a("any.shop.test", "0.0.0.0"),
          a("metadata.shop.test", "169.254.169.254"),
          a("good.shop.test", "10.0.0.1"),
        ],
      }),
    ]);
    expect(await places(registry)).toEqual(["good.shop.test:80 10.0.0.1:80"]);
    expect(logger.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
  });
});

describe("a lookup of addresses", () => {
  test("makes nodes of them and the port", async () => {
    const { registry, server } = await open(
      (query) => [
        responseTo(query, {
          answers: ["10.0.0.2", "10.0.0.1"].map((address) => a(query.name, address)),
        }),
      ],
      { port: 8080 },
    );
    expect(await places(registry)).toEqual([
      "10.0.0.1:8080 10.0.0.1:8080",
      "10.0.0.2:8080 10.0.0.2:8080",
    ]);
    expect(server.queries.map(({ name, type }) => `${name} ${type}`)).toEqual(["echo.shop.test A"]);
    expect((await registry.get("echo"))[0]?.metadata).toEqual({});
  });

  test("takes IPv6 addresses where there are no others, and names by a template", async () => {
    const { registry, server } = await open(
      (query) => [
        responseTo(query, {
          answers:
            query.type === "AAAA"
              ? [{ type: "AAAA", name: query.name, ttl: 1, data: "fd00::1" }]
              : [],
        }),
      ],
      { port: 8080, name: "{service}-headless.{domain}" },
    );
    expect((await registry.get("my.echo")).map(({ address }) => address)).toEqual([
      "[fd00::1]:8080",
    ]);
    expect(server.queries[0]?.name).toBe("my-echo-headless.shop.test");
  });
});

describe("a response", () => {
  test("with another id or question, or malformed, is never taken", async () => {
    const hostile = "10.66.66.66";
    const { registry } = await open((query) => {
      const lie = oneNode(query, hostile);
      const [question] = query.packet.questions ?? [];
      const otherName = [{ ...question, name: "_bank._tcp.shop.test", type: "SRV" as const }];
      const otherType = [{ ...question, name: echoName, type: "A" as const }];
      return [
        ...[1, 2, 255, 256, 65_535].map((n) => ({ ...lie, id: ((lie.id ?? 0) + n) % 65_536 })),
        { ...lie, questions: otherName },
        { ...lie, questions: otherType },
        { ...lie, questions: [] },
        { ...lie, questions: [...otherName, ...(query.packet.questions ?? [])] },
        { ...lie, type: "query" as const },
        Buffer.alloc(0),
        Buffer.from("hello"),
        Buffer.alloc(4_096, 0xc0),
        oneNode(query),
      ];
    });
    const events = watching(registry);
    await expect.poll(() => events.length).toBeGreaterThan(0);
    expect(await places(registry)).toEqual(["a.shop.test:8080 10.0.0.1:8080"]);
    expect(JSON.stringify(events)).not.toContain(hostile);
  });

  test("that is truncated is fetched by TCP", async () => {
    const { registry, server } = await open((query) => [
      query.overTcp ? oneNode(query) : responseTo(query, { flags: 0x0200 }),
    ]);
    expect(await places(registry)).toEqual(["a.shop.test:8080 10.0.0.1:8080"]);
    expect(server.queries.map(({ overTcp }) => overTcp)).toEqual([false, true]);
  });

  test("is fetched by TCP alone on request", async () => {
    const { registry, server } = await open((query) => [oneNode(query)], { tcp: true });
    expect(await places(registry)).toEqual(["a.shop.test:8080 10.0.0.1:8080"]);
    expect(server.queries.map(({ overTcp }) => overTcp)).toEqual([true]);
  });

  test("of a server older than EDNS comes at the second attempt", async () => {
    const { registry, server } = await open((query) => [
      query.ednsBytes === undefined ? oneNode(query) : failureOf(query, 1),
    ]);
    expect(await places(registry)).toEqual(["a.shop.test:8080 10.0.0.1:8080"]);
    expect(server.queries).toHaveLength(2);
  });

  test("comes from the next server if the first fails, which is then asked first", async () => {
    const failing = await startFakeServer((query) => [failureOf(query, serverFailure)]);
    const good = await startFakeServer((query) => [oneNode(query)]);
    await using _failing = failing;
    await using _good = good;
    await using registry = dnsRegistry({
      domain: "shop.test",
      servers: [failing.address, good.address],
    });
    expect(await places(registry)).toEqual(["a.shop.test:8080 10.0.0.1:8080"]);
    await expect.poll(() => good.queries.length).toBeGreaterThan(1);
    expect(failing.queries).toHaveLength(1);
  });

  test("comes from a server by IPv6", async () => {
    await using server = await startFakeServer((query) => [oneNode(query)], "::1");
    await using registry = dnsRegistry({ domain: "shop.test", servers: [server.address] });
    expect(await places(registry)).toEqual(["a.shop.test:8080 10.0.0.1:8080"]);
  });
});

describe("a service that is followed", () => {
  test("keeps its nodes while the server fails or is silent, and is degraded", async () => {
    const { registry, server } = await open((query) => [oneNode(query)]);
    const events = watching(registry);
    await expect.poll(() => events.length).toBe(1);
    for (const script of [
      (query: Query) => [failureOf(query, serverFailure)],
      (query: Query) => [failureOf(query, 5)],
      () => [],
    ]) {
      server.script = script;
      await expect.poll(() => registry.state).toBe("degraded");
      expect(await places(registry)).toHaveLength(1);
      server.script = (query) => [oneNode(query)];
      await expect.poll(() => registry.state).toBe("healthy");
    }
    expect(events).toHaveLength(1);
  });

  test("has no nodes only at the second negative response in a row", async () => {
    const { registry, server } = await open((query) => [oneNode(query)]);
    const events = watching(registry);
    await expect.poll(() => events.length).toBe(1);
    let polls = 0;
    // A zone that reloads: one negative response between good ones.
    server.script = (query) => [polls++ % 2 === 0 ? failureOf(query, noSuchName) : oneNode(query)];
    await expect.poll(() => polls).toBeGreaterThan(4);
    expect(events).toHaveLength(1);
    server.script = (query) => [failureOf(query, noSuchName)];
    await expect.poll(() => events.length).toBe(2);
    expect(events[1]).toEqual({ type: "snapshot", nodes: [] });
    server.script = (query) => [responseTo(query)];
    expect(await registry.list()).toEqual([]);
    expect(registry.state).toBe("healthy");
    server.script = (query) => [oneNode(query)];
    await expect.poll(() => events.length).toBe(3);
  });

  test("is looked up at the time to live of its records, and no more than once a second", async () => {
    const { server, registry } = await open((query) => [
      responseTo(query, {
        answers: [srv(query.name, "a.shop.test", 80, query.name.includes("long") ? 600 : 0)],
        additionals: [a("a.shop.test", "10.0.0.1", 600)],
      }),
    ]);
    await Promise.all([registry.get("short"), registry.get("long")]);
    const count = (part: string) => server.queries.filter(({ name }) => name.includes(part)).length;
    await expect.poll(() => count("short")).toBe(4);
    expect(count("long")).toBe(1);
  });
});

describe("a registry in DNS", () => {
  test("fails at the start once the time for it is over, and says why", async () => {
    const { registry } = await open((query) => [failureOf(query, serverFailure)], {
      startTimeoutMs: 100,
    });
    const error = await errorOf(registry.get("echo"));
    expect(error).toMatchObject({ code: "unavailable" });
    expect(error.message).toMatch(/^the DNS server 127\.0\.0\.1:\d+ failed: it responded SERVFAIL/);
    expect(registry.state).toBe("lost");
  });

  test("waits at the start for a server that is not up yet", async () => {
    const { registry, server } = await open(() => []);
    const finding = places(registry);
    await expect.poll(() => registry.state).toBe("lost");
    server.script = (query) => [oneNode(query)];
    expect(await finding).toHaveLength(1);
    expect(registry.state).toBe("healthy");
  });

  test("is only read", async () => {
    const { registry } = await open((query) => [oneNode(query)]);
    const [node] = await registry.get("echo");
    const error = await errorOf(registry.register({ ...node!, id: "own" }));
    expect(error).toMatchObject({ code: "unimplemented" });
    expect(error.message).toContain("a zone is written by others");
  });

  test("closes while a lookup waits", async () => {
    const { registry, server } = await open(() => []);
    const finding = registry.get("echo");
    await expect.poll(() => server.queries.length).toBe(1);
    await registry.close();
    expect(await errorOf(finding)).toMatchObject({ code: "unavailable" });
  });

  test("refuses what is not valid", async () => {
    const make = (options: object) => () => dnsRegistry(options);
    expect(make({})).toThrow("dnsRegistry: needs a domain");
    expect(make({ domain: "a b" })).toThrow("domain must be a domain, for example");
    expect(make({ domain: "a", name: "echo" })).toThrow("name must be a name with {service} in it");
    expect(make({ domain: "a", name: "{service}.{zone}" })).toThrow("name must be");
    expect(make({ domain: "a", servers: ["dns.example"] })).toThrow(
      '"dns.example" is not a DNS server; use its IP address, with or without a port',
    );
    expect(make({ domain: "a", port: 0 })).toThrow("port must be a port from 1 to 65535");
    const { registry } = await open(() => [], { domain: "x".repeat(63).concat(".test") });
    const long = ["s".repeat(60), "s".repeat(60)].join(".");
    expect(await errorOf(registry.get(long))).toMatchObject({ code: "invalid_argument" });
  });
});
