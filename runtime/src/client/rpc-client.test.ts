import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { echo } from "../../../test/support/echo.ts";
import { Fleet } from "../../../test/support/fleet.ts";
import { errorOf } from "../../../test/support/server.ts";
import { monotonicNow } from "../base/deadline.ts";
import { MicroError } from "../base/error.ts";
import { Metadata } from "../base/metadata.ts";
import type { CallContext } from "../call/call.ts";
import type { CallOptions, ClientInterceptor, ClientMessageInterceptor } from "./client.ts";

let fleet: Fleet;
beforeEach(() => {
  fleet = new Fleet();
});
afterEach(() => fleet[Symbol.asyncDispose]());

async function texts(answers: AsyncIterable<{ text: string; index: number }>): Promise<string[]> {
  const seen: string[] = [];
  for await (const { text, index } of answers) seen.push(`${text}${index}`);
  return seen;
}

async function* words(...list: string[]) {
  for (const text of list) yield { text };
}

describe("a call by service name", () => {
  test("works for all four kinds", async () => {
    await fleet.server();
    const client = fleet.client();
    expect(await client.unary(echo.echo, { text: "hello" })).toMatchObject({ text: "hello" });
    expect(await texts(client.serverStream(echo.repeat, { text: "a", count: 3 }))).toEqual([
      "a0",
      "a1",
      "a2",
    ]);
    expect(await client.clientStream(echo.collect, words("b", "c"))).toMatchObject({
      text: "b c",
      index: 2,
    });
    expect(await client.clientStream(echo.collect, [{ text: "d" }])).toMatchObject({ index: 1 });
    expect(await texts(client.bidi(echo.chat, words("e", "f")))).toEqual(["e0", "f1"]);
  });

  test("spreads over the servers", async () => {
    for (const id of ["one", "two", "three"]) await fleet.server("echo", {}, { id });
    const client = fleet.client();
    const servers = new Set<string>();
    for (let call = 0; call < 60; call++) {
      servers.add((await client.unary(echo.echo, {})).server);
    }
    expect([...servers].sort()).toEqual(["one", "three", "two"]);
  });

  test("does not fail when servers come and go", async () => {
    const client = fleet.client();
    let server = await fleet.server("echo", {}, { id: "0" });
    let [running, failures, calls] = [true, 0, 0];
    onTestFinished(() => {
      running = false;
    });
    const load = Array.from({ length: 8 }, async () => {
      while (running) {
        calls++;
        await client.unary(echo.once, {}).catch(() => failures++);
        await new Promise(setImmediate);
      }
    });
    for (let restart = 1; restart <= 5; restart++) {
      const next = await fleet.server("echo", {}, { id: String(restart) });
      while ((await client.unary(echo.echo, {})).server !== String(restart));
      const enough = calls + 50;
      await server.close(1_000);
      while (calls < enough) await new Promise(setImmediate);
      server = next;
    }
    running = false;
    await Promise.all(load);
    expect(failures).toBe(0);
  });

  test("with a request that is not a message fails as invalid_argument", async () => {
    await fleet.server();
    const request = { count: "many" } as unknown as { count: number };
    const error = await errorOf(fleet.client().unary(echo.echo, request));
    expect(error).toMatchObject({ code: "invalid_argument", outcome: "not-executed" });
  });

  test("sends metadata, and returns metadata and trailers", async () => {
    await fleet.server("echo", {
      echo(request, context) {
        context.responseMetadata.set("seen", context.requestMetadata.get("own") ?? "");
        context.trailers.set("end", "yes");
        if (request.fail) throw new MicroError("aborted", "no");
        return {};
      },
      async *repeat(_request, context) {
        context.responseMetadata.set("seen", context.requestMetadata.get("own") ?? "");
        yield { index: 1 };
        context.trailers.set("end", "stream");
      },
    });
    const client = fleet.client();
    const heard: string[] = [];
    const options: CallOptions = {
      metadata: { own: "x" },
      onResponseMetadata: (metadata) => heard.push(`seen ${metadata.get("seen")}`),
      onTrailers: (trailers) => heard.push(`end ${trailers.get("end")}`),
    };
    await client.unary(echo.echo, {}, options);
    expect(heard.splice(0)).toEqual(["seen x", "end yes"]);
    await errorOf(client.unary(echo.echo, { fail: "aborted" }, options));
    expect(heard.splice(0).at(-1)).toBe("end yes");
    for await (const { index } of client.serverStream(echo.repeat, {}, options)) {
      heard.push(`message ${index}`);
    }
    expect(heard.splice(0)).toEqual(["seen x", "message 1", "end stream"]);
  });
});

/** A message interceptor that changes nothing. */
const passing: ClientMessageInterceptor = {
  unary: (_call, request, next) => next(request),
  stream: (_call, requests, next) => next(requests),
};

describe("interceptors", () => {
  const tracing = (name: string, log: string[]): ClientInterceptor => ({
    async unary(call, request, next) {
      log.push(`${name} ${call.method.name.split("/")[1]} to ${call.target}`);
      const answer = await next(request);
      log.push(`${name} after ${call.attempts}`);
      return answer;
    },
    async *stream(call, requests, next) {
      log.push(`${name} ${call.method.kind}`);
      yield* next(requests);
      log.push(`${name} end`);
    },
  });

  test("wrap every kind of call, the first outermost", async () => {
    await fleet.server();
    const log: string[] = [];
    const client = fleet.client({ interceptors: [tracing("a", log), passing, tracing("b", log)] });
    await client.unary(echo.echo, { text: "x" });
    expect(log.splice(0)).toEqual(["a Echo to echo", "b Echo to echo", "b after 1", "a after 1"]);
    await texts(client.serverStream(echo.repeat, { count: 1 }));
    await client.clientStream(echo.collect, words("x"));
    await texts(client.bidi(echo.chat, words("x")));
    expect(log).toEqual(
      ["server_streaming", "client_streaming", "bidi_streaming"].flatMap((kind) => [
        `a ${kind}`,
        `b ${kind}`,
        "b end",
        "a end",
      ]),
    );
  });

  test("may respond themselves", async () => {
    const client = fleet.client({
      interceptors: [
        {
          unary: async () => ({ text: "cached" }),
          async *stream() {
            yield { text: "cached", index: 0 };
          },
        },
      ],
    });
    expect(await client.unary(echo.echo, {})).toEqual({ text: "cached" });
    expect(await texts(client.serverStream(echo.repeat, {}))).toEqual(["cached0"]);
  });

  test("may change requests and responses", async () => {
    await fleet.server("echo", {
      echo: (request, context) => ({ text: request.text + context.requestMetadata.get("token") }),
    });
    const own = new Metadata({ own: "x" });
    const client = fleet.client({
      interceptors: [
        {
          ...passing,
          async unary(call, request, next) {
            call.metadata.set("token", "-t");
            const answer = await next({ ...(request as object), text: "changed" });
            return { ...(answer as object), server: "intercepted" };
          },
        },
      ],
    });
    const answer = await client.unary(echo.echo, { text: "x" }, { metadata: own });
    expect(answer).toMatchObject({ text: "changed-t", server: "intercepted" });
    expect(own.has("token")).toBe(false);
  });

  test("may call next again", async () => {
    let handled = 0;
    await fleet.server("echo", {
      once: () => {
        if (++handled < 3) throw new MicroError("aborted", "again");
        return { text: "third" };
      },
    });
    const again: ClientInterceptor = {
      async unary(_call, request, next) {
        for (;;) {
          try {
            return await next(request);
          } catch (error) {
            if (!(error instanceof MicroError) || error.code !== "aborted") throw error;
          }
        }
      },
      async *stream(_call, requests, next) {
        yield* next(requests);
        yield* next(requests);
      },
    };
    const client = fleet.client({ interceptors: [again] });
    expect(await client.unary(echo.once, {})).toMatchObject({ text: "third" });
    expect(await texts(client.serverStream(echo.repeat, { text: "r", count: 2 }))).toEqual([
      "r0",
      "r1",
      "r0",
      "r1",
    ]);
  });

  test.each<[string, ClientInterceptor]>([
    [
      "throw",
      {
        unary() {
          throw new TypeError("a bug");
        },
        stream() {
          throw new TypeError("a bug");
        },
      },
    ],
    [
      "reject",
      {
        unary: () => Promise.reject(new TypeError("a bug")),
        async *stream(_call, requests, next) {
          yield* next(requests);
          throw new TypeError("a bug");
        },
      },
    ],
  ])("that %s fail the call with a MicroError", async (_what, interceptor) => {
    await fleet.server();
    const client = fleet.client({ interceptors: [interceptor] });
    for (const call of [
      client.unary(echo.echo, {}),
      client.serverStream(echo.repeat, { count: 1 }),
      client.clientStream(echo.collect, []),
    ]) {
      expect(await errorOf(call)).toMatchObject({ code: "unknown", message: "a bug" });
    }
  });

  test("that are functions see calls of all kinds, their requests and how they end", async () => {
    await fleet.server("echo", {
      echo: (_request, context) => ({ text: context.requestMetadata.get("token") ?? "" }),
      chat: async function* (_requests, context) {
        yield { text: context.requestMetadata.get("token") ?? "" };
        throw new MicroError("aborted", "no more");
      },
    });
    const ends: string[] = [];
    const client = fleet.client({
      interceptors: [
        async (call, next) => {
          call.metadata.set("token", "t");
          try {
            await next();
            ends.push(`${call.method.kind} ended`);
          } catch (error) {
            ends.push(`${call.method.kind} failed`);
            throw new MicroError("unknown", "wrapped", { cause: error });
          }
        },
      ],
    });
    expect((await client.unary(echo.echo, {})).text).toBe("t");
    expect(await texts(client.serverStream(echo.repeat, { text: "r", count: 2 }))).toHaveLength(2);
    await client.clientStream(echo.collect, words("x"));
    const error = await errorOf(client.bidi(echo.chat, words("x")));
    expect(error).toMatchObject({ code: "unknown", message: "wrapped" });
    for await (const _ of client.serverStream(echo.repeat, { count: 5 })) break;
    expect(ends).toEqual([
      "unary ended",
      "server_streaming ended",
      "client_streaming ended",
      "bidi_streaming failed",
      "server_streaming failed",
    ]);
  });

  test("are refused when they would see only some of the calls", () => {
    const bad = [{ unary: () => Promise.resolve({}) }] as never;
    expect(() => fleet.client({ interceptors: bad })).toThrow(
      /interceptors\[0\] has no function stream/,
    );
  });

  test("see a failure once, after all attempts", async () => {
    let handled = 0;
    await fleet.server("echo", {
      echo: () => {
        handled++;
        throw new MicroError("unavailable", "busy");
      },
    });
    const attempts: number[] = [];
    const client = fleet.client({
      retry: { backoffMs: 1 },
      interceptors: [
        {
          ...passing,
          unary: (call, request, next) => next(request).finally(() => attempts.push(call.attempts)),
        },
      ],
    });
    await errorOf(client.unary(echo.echo, {}));
    expect([handled, attempts]).toEqual([3, [3]]);
  });
});

describe("a handler's context as call options", () => {
  /** Three services, each calling the next with its context, and what each of them received. */
  async function chain(viaOptions: boolean) {
    const seen: { name: string; remainingMs: number; metadata: Record<string, string> }[] = [];
    const client = fleet.client();
    const see = (name: string, context: CallContext) =>
      seen.push({
        name,
        remainingMs: context.remainingMs(),
        metadata: context.requestMetadata.toObject(),
      });
    const pass = (name: string, next: string) =>
      fleet.server(name, {
        echo(request, context) {
          see(name, context);
          return viaOptions
            ? client.unary(echo.echo, request, {
                context,
                service: next,
                metadata: { own: name },
                timeoutMs: 60_000,
              })
            : client.unary({ ...echo.echo, service: next }, request, context);
        },
      });
    let cancelled: Promise<unknown> | undefined;
    await pass("a", "b");
    await pass("b", "c");
    await fleet.server("c", {
      async echo(request, context) {
        see("c", context);
        if (request.delayMs === 0) return { text: "end" };
        cancelled = new Promise((resolve) => {
          context.signal.addEventListener("abort", () => resolve(context.signal.reason));
        });
        return cancelled as Promise<never>;
      },
    });
    return { seen, client, cancelled: () => cancelled };
  }

  test("carries the deadline, the trace and nothing else", async () => {
    const { seen, client } = await chain(false);
    const metadata = {
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      baggage: "k=v",
      "x-internal": "secret",
    };
    const options = { service: "a", metadata, timeoutMs: 5_000 };
    expect(await client.unary(echo.echo, {}, options)).toMatchObject({ text: "end" });
    expect(seen.map(({ name }) => name)).toEqual(["a", "b", "c"]);
    const times = seen.map(({ remainingMs }) => remainingMs);
    expect(times[0]).toBeLessThanOrEqual(5_000);
    expect(times[1]).toBeLessThan(times[0]!);
    expect(times[2]).toBeLessThan(times[1]!);
    expect(seen[0]?.metadata).toEqual(metadata);
    const { traceparent, baggage } = metadata;
    expect(seen[1]?.metadata).toEqual({ traceparent, baggage });
    expect(seen[2]?.metadata).toEqual({ traceparent, baggage });
  });

  test("can be combined with other options, and the earlier deadline applies", async () => {
    const { seen, client } = await chain(true);
    const metadata = { traceparent: "00-1-2-01", own: "client" };
    await client.unary(echo.echo, {}, { service: "a", metadata, timeoutMs: 3_000 });
    expect(seen.map((call) => call.metadata.own)).toEqual(["client", "a", "b"]);
    expect(seen[2]?.metadata.traceparent).toBe("00-1-2-01");
    expect(seen[2]?.remainingMs).toBeLessThan(3_000);
  });

  test.each([false, true])("carries cancellation to the end of the chain (%s)", async (via) => {
    const { client, cancelled } = await chain(via);
    const controller = new AbortController();
    const options = { service: "a", signal: controller.signal };
    const call = errorOf(client.unary(echo.echo, { delayMs: 1 }, options));
    while (cancelled() === undefined) await new Promise(setImmediate);
    controller.abort();
    expect((await call).code).toBe("canceled");
    expect(await cancelled()).toMatchObject({ code: "canceled" });
  });

  test("ends all calls of the chain by the deadline of the first", async () => {
    const { client, cancelled } = await chain(false);
    const began = monotonicNow();
    const call = errorOf(client.unary(echo.echo, { delayMs: 1 }, { service: "a", timeoutMs: 150 }));
    expect((await call).code).toBe("deadline_exceeded");
    await cancelled();
    expect(monotonicNow() - began).toBeGreaterThanOrEqual(149);
  });
});

test("two thousand calls that are cancelled together stop two thousand handlers", async () => {
  let [begun, stopped] = [0, 0];
  const server = await fleet.server(
    "echo",
    {
      once: (_request, context) =>
        new Promise((_resolve, reject) => {
          begun++;
          context.signal.addEventListener("abort", () => {
            stopped++;
            reject(context.signal.reason);
          });
        }),
    },
    { maxConcurrentCalls: 10_000 },
  );
  const client = fleet.client();
  const controller = new AbortController();
  const { signal } = controller;
  const calls = Array.from({ length: 2_000 }, () =>
    errorOf(client.unary(echo.once, {}, { signal })),
  );
  while (begun < 2_000) await new Promise(setImmediate);
  controller.abort();
  const codes = new Set((await Promise.all(calls)).map(({ code }) => code));
  expect([...codes]).toEqual(["canceled"]);
  while (server.stats.inFlight > 0) await new Promise(setImmediate);
  expect(stopped).toBe(2_000);
});

test("ten thousand calls leave nothing behind", async () => {
  const server = await fleet.server();
  const client = fleet.client();
  const { signal } = new AbortController();
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown) => unhandled.push(reason);
  process.on("unhandledRejection", onUnhandled);
  for (let round = 0; round < 50; round++) {
    await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const fail = index % 10 === 0 ? "aborted" : "";
        await client.unary(echo.echo, { fail }, { signal }).catch(() => undefined);
      }),
    );
  }
  expect(server.stats.inFlight).toBe(0);
  await client.close();
  await new Promise(setImmediate);
  process.off("unhandledRejection", onUnhandled);
  expect(unhandled).toEqual([]);
});
