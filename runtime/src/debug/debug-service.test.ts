import { once } from "node:events";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  createClient,
  createServer,
  createService,
  EventRejected,
  MemoryRegistryNetwork,
  MicroError,
  memoryRegistry,
} from "@micro-es/runtime";
import { protobufCodec } from "@micro-es/runtime/codec";
import { debugService } from "@micro-es/runtime/debug";
import { afterEach, describe, expect, test } from "vitest";
import {
  createEchoServiceClient,
  EchoedTopic,
  registerEchoServiceHandler,
} from "../../../test/gen/micro/test/v1/echo_micro.ts";
import { echoHandler } from "../../../test/support/echo.ts";
import {
  LogLevel,
  LogsRequestSchema,
  type LogsResponse,
  LogsResponseSchema,
  StatsRequestSchema,
  StatsResponseSchema,
} from "../gen/micro/debug/v1/debug_pb.ts";

const common = { service: "", idempotency: "no_side_effects" } as const;
const stats = {
  ...common,
  name: "micro.debug.v1.DebugService/Stats",
  kind: "unary",
  input: protobufCodec(StatsRequestSchema),
  output: protobufCodec(StatsResponseSchema),
} as const;
const logs = {
  ...common,
  name: "micro.debug.v1.DebugService/Logs",
  kind: "server_streaming",
  input: protobufCodec(LogsRequestSchema),
  output: protobufCodec(LogsResponseSchema),
} as const;

const opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

/** An echo service with a debug service, and a client for it. */
async function start(
  options: Parameters<typeof debugService>[0] = {},
  place: { readonly address?: string; readonly environment?: Record<string, string> } = {},
) {
  const lines: string[] = [];
  const write = (_fields: object, message: string) => void lines.push(message);
  const service = createService({
    name: "echo",
    version: "1.2.3",
    address: place.address ?? "127.0.0.1:0",
    registry: memoryRegistry({ network: new MemoryRegistryNetwork() }),
    logger: { debug: write, info: write, warn: write, error: write },
    debug: debugService(options),
    environment: { MICRO_LOG_LEVEL: "info", MICRO_BROKER: "memory", ...place.environment },
  });
  registerEchoServiceHandler(service.server, {
    ...echoHandler("echo"),
    onEchoed({ text }) {
      if (text === "bad") throw new EventRejected("never good");
    },
    async echo(request, { signal }) {
      if (request.text === "wrong") throw new MicroError("not_found", "there is no such text");
      if (request.text === "broken") throw new TypeError("oops");
      if (request.text === "unwritable") return { index: 1.5 };
      if (request.text === "wait") {
        await once(signal, "abort");
      }
      return { text: request.text };
    },
  });
  await service.start();
  const client = createClient({ registry: service.registry });
  opened.push(service, client);
  const [address = ""] = service.server.addresses;
  const ask = async () => {
    const { process, methods, subscriptions } = await client.unary(stats, {}, { address });
    const of = (name: string) => methods.find(({ method }) => method.endsWith(`/${name}`));
    return { process, subscriptions, of };
  };
  const read = (request: MessageInitShape<typeof LogsRequestSchema> = {}) =>
    client.serverStream(logs, request, { address, timeoutMs: 60_000 });
  const echo = createEchoServiceClient(client);
  return { service, echo, address, ask, read, lines, client };
}

describe("callers that are allowed", () => {
  type Place = NonNullable<Parameters<typeof start>[1]>;
  /**
   * The results of both methods for a call with this metadata: `ok`, or the code and message of the
   * error.
   */
  async function answers(place: Place, metadata: Record<string, string> = {}, token?: string) {
    const started = await start(token === undefined ? {} : { token }, place);
    const { client, address, lines } = started;
    const port = address.slice(address.lastIndexOf(":") + 1);
    const options = { address: `127.0.0.1:${port}`, metadata };
    const said = (reason: MicroError) => `${reason.code}: ${reason.message}`;
    const statsSaid = await client.unary(stats, {}, options).then(() => "ok", said);
    const logsSaid = await (async () => {
      for await (const _ of client.serverStream(logs, {}, options));
      return "ok";
    })().catch(said);
    return { stats: statsSaid, logs: logsSaid, lines, port };
  }

  test("all of this machine, if no other machine reaches the service", async () => {
    expect(await answers({})).toMatchObject({ stats: "ok", logs: "ok" });
  });

  test("no caller without a token if other machines reach it, and the log says so once", async () => {
    const { stats, logs, lines } = await answers({ address: "0.0.0.0:0" });
    const refusal =
      /^permission_denied: .* needs a token, because other machines reach .*MICRO_DEBUG_TOKEN/;
    expect(stats).toMatch(refusal);
    expect(logs).toMatch(refusal);
    expect(lines.filter((line) => line.startsWith("refused to show"))).toHaveLength(1);
  });

  test("no caller through a proxy on this machine without a token", async () => {
    for (const line of ["x-forwarded-for", "forwarded", "via", "x-real-ip"]) {
      const { stats, logs } = await answers({}, { [line]: "203.0.113.9" });
      expect(stats).toMatch(/^permission_denied: .* through a proxy/);
      expect(logs).toMatch(/^permission_denied: .* through a proxy/);
    }
  });

  test("callers with the token of option or environment, wherever it listens, and no others", async () => {
    for (const address of ["127.0.0.1:0", "0.0.0.0:0"]) {
      for (const [token, environment] of [
        ["secret", undefined],
        ["secret", { MICRO_DEBUG_TOKEN: "another" }],
        [undefined, { MICRO_DEBUG_TOKEN: "secret" }],
      ] as const) {
        const place = { address, ...(environment === undefined ? {} : { environment }) };
        const ask = (metadata: Record<string, string>) => answers(place, metadata, token);
        const right = await ask({ authorization: "Bearer secret", "x-forwarded-for": "10.0.0.1" });
        expect(right).toMatchObject({ stats: "ok", logs: "ok" });
        for (const authorization of ["Bearer another", "Bearer ", "secret", "Basic secret"]) {
          const { stats, logs } = await ask({ authorization });
          expect(stats).toMatch(/^unauthenticated: .* needs its token/);
          expect(logs).toMatch(/^unauthenticated: /);
        }
        expect((await ask({})).stats).toMatch(/^unauthenticated: /);
      }
    }
  });

  test("no caller reads over HTTP what a handler's error hides", async () => {
    const { port } = await answers({ address: "0.0.0.0:0" });
    const response = await fetch(`http://127.0.0.1:${port}/micro.debug.v1.DebugService/Stats`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ code: "permission_denied" });
  });
});

async function all(records: AsyncIterable<LogsResponse>): Promise<LogsResponse[]> {
  const found: LogsResponse[] = [];
  for await (const record of records) found.push(record);
  return found;
}

describe("the debug service", () => {
  test("counts calls of every kind, errors by code, and what is in flight", async () => {
    const { echo, ask } = await start();
    await echo.echo({ text: "one" });
    for (const text of ["wrong", "wrong", "broken", "unwritable"]) {
      await expect(echo.echo({ text })).rejects.toThrow();
    }
    for await (const _ of echo.repeat({ text: "x", count: 3 })) {
      // Read to its end.
    }
    for await (const _ of echo.repeat({ text: "x", count: 3 })) break;
    const canceled = new AbortController();
    const waiting = echo.echo({ text: "wait" }, { signal: canceled.signal });
    await expect.poll(async () => (await ask()).of("Echo")?.inFlight).toBe(1);
    canceled.abort();
    await expect(waiting).rejects.toThrow();
    await expect.poll(async () => (await ask()).of("Echo")?.inFlight).toBe(0);
    await expect.poll(async () => (await ask()).of("Repeat")?.inFlight).toBe(0);
    const { of, process } = await ask();
    expect(of("Echo")).toMatchObject({
      method: "micro.test.v1.EchoService/Echo",
      calls: 6n,
      errors: { not_found: 2n, internal: 2n, canceled: 1n },
    });
    expect(of("Repeat")).toMatchObject({ calls: 2n });
    expect(of("Collect")).toMatchObject({ calls: 0n, errors: {}, inFlight: 0 });
    const latency = of("Echo")?.latency;
    expect(latency?.count).toBe(6n);
    expect(latency?.p50Ms).toBeGreaterThan(0);
    expect(latency?.p99Ms).toBeLessThanOrEqual(latency?.maxMs ?? 0);
    expect(process).toMatchObject({
      service: "echo",
      version: "1.2.3",
      nodeId: expect.stringMatching(/^echo-[0-9a-f-]{36}$/),
      pid: globalThis.process.pid,
      nodeVersion: globalThis.process.version,
    });
    expect(process?.uptimeMs).toBeGreaterThan(0);
    expect(process?.rssBytes).toBeGreaterThan(1_000_000n);
    expect(process?.cpu).toBeGreaterThan(0);
    expect(process?.eventLoopDelayMaxMs).toBeGreaterThanOrEqual(0);
  });

  test("reports the outcome of received events", async () => {
    const { service, ask } = await start();
    await EchoedTopic.publish(service.broker, { text: "good" });
    await EchoedTopic.publish(service.broker, { text: "bad" });
    await expect
      .poll(async () => (await ask()).subscriptions)
      .toMatchObject([
        { topic: "echo.echoed", delivered: 1n, failed: 1n, rejected: 1n, dropped: 0n, pending: 0 },
      ]);
  });

  test("describes a server without a service", async () => {
    const server = createServer({
      name: "lone",
      address: "127.0.0.1:0",
      registry: memoryRegistry({ network: new MemoryRegistryNetwork() }),
      debug: debugService(),
      environment: { MICRO_LOG_LEVEL: "silent", MICRO_BROKER: "memory" },
    });
    await server.start();
    const client = createClient({ registry: memoryRegistry() });
    opened.push(server, client);
    const { process } = await client.unary(stats, {}, { address: server.addresses[0] ?? "" });
    expect(process).toMatchObject({ service: "lone", nodeId: expect.stringMatching(/^lone-/) });
  });

  test("serves gRPC like its own protocol", async () => {
    const { address } = await start();
    const grpc = createClient({ registry: memoryRegistry() });
    opened.push(grpc);
    const { process } = await grpc.unary(stats, {}, { address: `http://${address}` });
    expect(process?.service).toBe("echo");
  });

  test("returns log lines by number, level and age, and still writes them", async () => {
    const { service, read, lines } = await start();
    const { logger } = service;
    logger.debug({}, "below the level of the service");
    logger.info({ order: 7, name: "Ada", big: 1n, error: new TypeError("no") }, "taken");
    logger.error({}, "failed");
    expect(lines.slice(-3)).toEqual(["below the level of the service", "taken", "failed"]);
    const told = await all(read());
    expect(told.map(({ message }) => message).slice(-2)).toEqual(["taken", "failed"]);
    expect(told.map(({ sequence }) => Number(sequence))).toEqual(told.map((_, index) => index + 1));
    const taken = told.at(-2);
    expect(taken?.level).toBe(LogLevel.INFO);
    expect(taken?.fields).toEqual({
      order: "7",
      name: "Ada",
      big: '"1"',
      error: expect.stringMatching(/^{"name":"TypeError","message":"no","stack":"TypeError: no/),
    });
    const errors = await all(read({ level: LogLevel.ERROR }));
    expect(errors.map(({ message }) => message)).toEqual(["failed"]);
    expect(await all(read({ tail: 1 }))).toHaveLength(1);
    expect(await all(read({ after: taken?.sequence ?? 0n }))).toHaveLength(1);
    await expect.poll(async () => (await all(read({ maxAgeMs: 1 }))).length).toBe(0);
  });

  test("follows the log, reports what a slow reader missed, and ends when the server drains", async () => {
    const { service, read } = await start({ logLines: 10 });
    const following = read({ tail: 0, follow: true })[Symbol.asyncIterator]();
    const first = following.next();
    // The call has to start before the line that it is to receive is logged.
    await expect.poll(() => service.server.stats.inFlight).toBe(1);
    service.logger.info({}, "heard");
    expect((await first).value).toMatchObject({ message: "heard", missed: 0n });
    for (let line = 1; line <= 100_000; line++) service.logger.info({}, `line ${line}`);
    let missed = 0;
    let seen = 0;
    for (;;) {
      const { value } = await following.next();
      missed += Number(value?.missed);
      seen++;
      if (value?.message === "line 100000") break;
    }
    expect(missed).toBeGreaterThan(0);
    expect(missed + seen).toBe(100_000);
    const end = following.next();
    await service.stop();
    await end.catch((reason: MicroError) => expect(reason.code).toBe("unavailable"));
  });

  test("keeps no lines if configured so", async () => {
    const { read } = await start({ logLines: 0 });
    await expect(all(read())).rejects.toMatchObject({ code: "unimplemented" });
  });
});
