import { jetstreamBroker, natsParts, natsRegistry, natsStore, natsTransport } from "@micro-es/nats";
import {
  cachedRegistry,
  createClient,
  createLogger,
  createSelector,
  createServer,
  createService,
  envSource,
  fileSync,
  flagsSource,
  goMicroTransport,
  httpBroker,
  httpTransport,
  loadConfig,
  MemoryNetwork,
  MicroError,
  mdnsRegistry,
  memoryBroker,
  memoryRegistry,
  memoryStore,
  memorySync,
  memoryTransport,
  tcpTransport,
} from "@micro-es/runtime";
import { debugService } from "@micro-es/runtime/debug";
import { localRuntime } from "@micro-es/runtime/runtime/local";
import { fileStore } from "@micro-es/runtime/store/file";
import { describe, expect, test } from "vitest";
import { echo } from "../../../test/support/echo.ts";
import { Fleet } from "../../../test/support/fleet.ts";
import { errorOf } from "../../../test/support/server.ts";
import { createTopic } from "../broker/topic.ts";
import { buildServer } from "../server/rpc-server.ts";

// Options that types forbid and plain JavaScript allows.
type Factory = (options: never) => unknown;
const environment = {
  MICRO_LOG_LEVEL: "silent",
  MICRO_REGISTRY: "memory",
  MICRO_TRANSPORT: "memory",
};
const registry = memoryRegistry();

describe("an invalid option is refused with its name, the allowed values and its value", () => {
  test.each<[string, Factory, object, string]>([
    [
      "createService",
      createService,
      { graceMs: "2s" },
      'graceMs must be a duration in milliseconds, for example 2000; got "2s"',
    ],
    [
      "createService",
      createService,
      { maxConcurrentCalls: 0 },
      "maxConcurrentCalls must be a whole number from 1, for example 100; got 0",
    ],
    ["createService", createService, { maxConcurrentStreams: 1.5 }, "got 1.5"],
    [
      "createService",
      createService,
      { registry: "nats" },
      'registry must be a Registry, for example mdnsRegistry(); got "nats"',
    ],
    ["createService", createService, { broker: {} }, "broker must be a Broker"],
    ["createService", createService, { store: "memory" }, "store must be a Store"],
    [
      "createService",
      createService,
      { logger: console.log },
      "logger must be a Logger, for example createLogger(); got a function",
    ],
    ["createService", createService, { ttlMs: Number.NaN }, "got NaN"],
    ["createService", createService, { drainDelayMs: -1 }, "drainDelayMs must be a duration"],
    ["createService", createService, { timeoutMs: "100ms" }, "timeoutMs must be a duration"],
    [
      "createService",
      createService,
      { metadata: { zone: 1 } },
      "metadata must be an object of strings",
    ],
    [
      "createService",
      createService,
      { auth: true },
      "auth must be an Auth, for example localAuth({ issuer, store }), or false; got true",
    ],
    [
      "createService",
      createService,
      { gracems: 2_000 },
      "createService has no option gracems; did you mean graceMs?",
    ],
    ["createService", createService, { transport: [] }, "did you mean transports?"],
    ["createService", createService, { interceptors: [] }, "did you mean serverInterceptors?"],
    ["createService", createService, { grace: 2_000 }, "did you mean graceMs?"],
    ["createService", createService, { stoer: {} }, "did you mean store?"],
    ["createServer", createServer, { drainDelayMs: "1s" }, "createServer: drainDelayMs must be"],
    [
      "createServer",
      createServer,
      { propagate: "x-tenant" },
      "propagate must be a list of strings",
    ],
    [
      "createClient",
      createClient,
      { timeoutMs: 0 },
      "createClient: timeoutMs must be a duration in milliseconds over 0",
    ],
    ["createClient", createClient, { retry: "no" }, "retry must be an object, or false"],
    ["createClient", createClient, { dialTimeoutMs: "5s" }, "dialTimeoutMs must be"],
    [
      "memoryBroker",
      memoryBroker,
      { overflow: "wait" },
      'overflow must be one of drop, block; got "wait"',
    ],
    ["httpBroker", httpBroker, { registry, maxConnections: "4" }, "maxConnections must be"],
    ["memoryStore", memoryStore, { maxBytes: "1GB" }, "maxBytes must be a number of bytes"],
    ["createSelector", createSelector, { registry, idleMs: "5m" }, "idleMs must be"],
    [
      "mdnsRegistry",
      mdnsRegistry,
      { port: 70_000 },
      "port must be a port from 1 to 65535; got 70000",
    ],
    ["tcpTransport", tcpTransport, { maxMessageBytes: "4MiB" }, 'got "4MiB"'],
    ["debugService", debugService, { logLines: -1 }, "logLines must be a whole number from 0"],
    [
      "createLogger",
      createLogger,
      { level: "trace" },
      "level must be one of debug, info, warn, error, silent",
    ],
    ["localRuntime", localRuntime, { goodMs: "1s" }, "goodMs must be"],
    [
      "localRuntime",
      localRuntime,
      "fast" as never,
      'localRuntime takes an object of options; got "fast"',
    ],
    [
      "cachedRegistry",
      (options) => cachedRegistry(registry, options),
      { graceMs: "1m" },
      "cachedRegistry: graceMs must be",
    ],
    [
      "fileStore",
      fileStore,
      { path: "/tmp/x", sync: "no" },
      "fileStore: sync must be true or false",
    ],
    [
      "tcpTransport",
      tcpTransport,
      { http: { idleTimeoutMs: "5m" } },
      'http.idleTimeoutMs must be a duration in milliseconds from 1, for example 2000; got "5m"',
    ],
    ["tcpTransport", tcpTransport, { http: { cors: {} } }, "http.cors.origins must be a list"],
    [
      "tcpTransport",
      tcpTransport,
      { tls: { server: {} } },
      "tls.server.identity must be an object; got undefined",
    ],
    ["tcpTransport", tcpTransport, { http: { grpcweb: false } }, "did you mean http.grpcWeb?"],
    ["httpTransport", httpTransport, { protocol: "rest" }, "protocol must be one of grpc"],
    ["goMicroTransport", goMicroTransport, { encoding: "xml" }, "encoding must be one of binary"],
    [
      "memoryTransport",
      memoryTransport,
      { limits: { maxMessageBytes: 0 } },
      "limits.maxMessageBytes must be a number of bytes from 1",
    ],
    ["natsTransport", natsTransport, {}, "link must be a NatsLink"],
    [
      "natsRegistry",
      natsRegistry,
      { replicas: "3" },
      "replicas must be a whole number from 1 to 5",
    ],
    ["natsStore", natsStore, { servers: "" }, "natsStore: servers must be addresses, for example"],
    [
      "natsStore",
      natsStore,
      { password: 123456 },
      "password must be a string that is not empty; got a number",
    ],
    ["natsStore", natsStore, { tls: { ca: 1 } }, "tls.ca must be a string that is not empty"],
    ["jetstreamBroker", jetstreamBroker, { ackWaitMs: "30s" }, "ackWaitMs must be a duration"],
    ["natsParts", natsParts, { broker: "kafka" }, "broker must be one of jetstream, core"],
    ["envSource", envSource, { prefix: "A_", words: "kebab" }, "words must be one of camel, snake"],
    ["flagsSource", flagsSource, { argv: "--a" }, "argv must be a list of strings"],
    ["memoryRegistry", memoryRegistry, { network: {} }, "network must be a MemoryRegistryNetwork"],
    ["memorySync", memorySync, { network: {} }, "network must be a MemorySyncNetwork"],
    ["topic", createTopic, { name: "a" }, "createTopic: codec must be a Codec"],
    ["buildServer", buildServer, { name: "a" }, "listen must be a list of places to listen"],
    ["createClient", createClient, { retry: { attempts: 0 } }, "retry.attempts must be"],
    [
      "createClient",
      createClient,
      { reconnect: { firstms: 1 } },
      "did you mean reconnect.firstMs?",
    ],
    ["localRuntime", localRuntime, { backoff: {} }, "backoff.firstMs must be a duration"],
    ["fileSync", fileSync, { path: 1 }, "fileSync: path must be a string that is not empty; got 1"],
  ])("%s", (owner, factory, options, message) => {
    const program = owner.startsWith("create") && !/Selector|Logger/.test(owner);
    const given = program ? { name: "echo", environment, ...options } : options;
    expect(() => factory(given as never)).toThrow(
      expect.objectContaining({
        code: "invalid_argument",
        message: expect.stringContaining(message),
      }),
    );
  });
});

test("an undefined option is absent, and an unknown name is ignored", async () => {
  const options = { name: "echo", environment, graceMs: undefined, somethingElse: 1 };
  await using service = createService(options as never);
  expect(service.name).toBe("echo");
});

test("a call with a wall-clock deadline or a timeout that is not a number rejects before it begins", async () => {
  await using fleet = new Fleet();
  await fleet.server();
  const client = fleet.client();
  const wrong: [object, string][] = [
    [{ deadline: Date.now() + 100 }, "not one of Date.now(); timeoutMs takes a duration"],
    [{ deadline: new Date() }, "deadline must be a time of the monotonic clock"],
    [
      { timeoutMs: "100ms" },
      'timeoutMs must be a duration in milliseconds, for example 2000; got "100ms"',
    ],
    [{ timeoutMs: Number.NaN }, "got NaN"],
    [{ retry: { attempts: "3" } }, "retry.attempts must be a whole number from 1"],
    [{ signal: {} }, "signal must be an AbortSignal"],
    [{ address: 1 }, "address must be a string that is not empty; got 1"],
    [{ timeoutms: 100 }, "has no option timeoutms; did you mean timeoutMs?"],
  ];
  for (const [options, message] of wrong) {
    for (const call of [
      () => client.unary(echo.echo, {}, options),
      () => client.clientStream(echo.collect, [], options),
      () => client.serverStream(echo.repeat, {}, options),
      () => client.bidi(echo.chat, [], options),
    ]) {
      const error = await errorOf(call());
      expect(error).toMatchObject({ code: "invalid_argument", outcome: "not-executed" });
      expect(error.message).toContain(message);
    }
  }
  expect(await client.unary(echo.echo, {}, { deadline: Number.POSITIVE_INFINITY })).toBeDefined();
});

test("loadConfig rejects options that are not allowed", async () => {
  const error = await errorOf(loadConfig([], { loadTimeoutMs: "5s" } as never));
  expect(error).toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining(
      "loadConfig: loadTimeoutMs must be a duration in milliseconds from 1",
    ),
  });
});

test("an event with a wall-clock deadline is refused", async () => {
  await using broker = memoryBroker();
  const topic = createTopic({ name: "echo.echoed", codec: echo.echo.input as never });
  const error = await errorOf(topic.publish(broker, {}, { deadline: Date.now() + 100 }));
  expect(error).toMatchObject({
    code: "invalid_argument",
    message: /publish to echo\.echoed: deadline must be/,
  });
});

describe("options of methods are checked like those of factories", () => {
  const node = {
    id: "a-1",
    service: "a",
    version: "1",
    address: "127.0.0.1:1",
    metadata: {},
    endpoints: [],
  };
  const wrong = <T>(value: unknown) => value as T;
  const local = () => localRuntime();
  const run = (more: object) => local().create(wrong({ name: "a", command: ["true"], ...more }));
  const memory = () => memoryTransport({ network: new MemoryNetwork() });

  test.each<[string, () => unknown, string]>([
    [
      "run",
      () => createService({ name: "a", environment }).run({ signal: wrong("SIGTERM") }),
      'run: signal must be an AbortSignal; got "SIGTERM"',
    ],
    [
      "register",
      () => registry.register(node, { ttlMs: wrong("15s") }),
      'register a-1: ttlMs must be a duration in milliseconds from 100 to 86400000, for example 2000; got "15s"',
    ],
    [
      "register by a near name",
      () => registry.register(node, wrong({ ttl: 15_000 })),
      "register a-1 has no option ttl; did you mean ttlMs?",
    ],
    [
      "get",
      () => cachedRegistry(memoryRegistry()).get("a", { signal: wrong(5) }),
      "get a: signal must be an AbortSignal; got 5",
    ],
    [
      "list",
      () => mdnsRegistry().list({ signal: wrong(5) }),
      "list services: signal must be an AbortSignal; got 5",
    ],
    [
      "watch",
      () => mdnsRegistry().watch("a", { signal: wrong(5) }),
      "watch a: signal must be an AbortSignal; got 5",
    ],
    [
      "create",
      () => run({ graceMs: "2s" }),
      'run the service "a": graceMs must be a duration in milliseconds, for example 2000; got "2s"',
    ],
    [
      "create with a policy",
      () => run({ restart: "sometimes" }),
      'run the service "a": restart must be one of always, on-failure, never; got "sometimes"',
    ],
    [
      "create by a near name",
      () => run({ env: { A: "1" }, grace: 5 }),
      'run the service "a" has no option grace; did you mean graceMs?',
    ],
    [
      "create with a command line",
      () => run({ command: "node a.js" }),
      'command must be a program and its arguments as a list of strings without NUL, for example ["node", "a.js"]; got "node a.js"',
    ],
    [
      "dial",
      () => memory().dial("memory:a", { deadline: Date.now() + 100 }),
      "dial memory:a: deadline must be a time of the monotonic clock",
    ],
    [
      "listen",
      () => memory().listen("memory:0", wrong({}), { notReady: wrong(true) }),
      "listen at memory:0: notReady must be a function; got true",
    ],
    [
      "subscribe, when it is registered",
      () =>
        createServer({ name: "a", environment }).subscribe(
          createTopic({ name: "a.b", codec: echo.echo.input as never }),
          () => {},
          { maxInFlight: 0 },
        ),
      "subscribe to a.b: maxInFlight must be a whole number from 1, for example 100; got 0",
    ],
    [
      "MicroError",
      () => new MicroError("internal", "broken", { retryAfterMs: wrong("2s") }),
      'MicroError: retryAfterMs must be a duration in milliseconds, for example 2000; got "2s" (its message: broken)',
    ],
    [
      "MicroError with an outcome",
      () => new MicroError("internal", "broken", { outcome: wrong("done") }),
      'MicroError: outcome must be one of not-executed, unknown, executed; got "done"',
    ],
    [
      "MicroError by a near name",
      () => new MicroError("internal", "broken", wrong({ retryAfter: 5 })),
      "MicroError has no option retryAfter; did you mean retryAfterMs?",
    ],
  ])("%s", async (_, use, message) => {
    await expect((async () => use())()).rejects.toThrow(message);
  });
});
