import {
  type Incoming,
  MicroError,
  memoryBroker,
  type ServerInterceptor,
  type ServerInterceptorFunction,
} from "@micro-es/runtime";
import { describe, expect, test } from "vitest";
import { echo } from "../../../test/support/echo.ts";
import {
  call,
  errorOf,
  outgoing,
  registerEcho,
  startMemoryServer,
} from "../../../test/support/server.ts";
import { createTopic } from "../broker/topic.ts";

const topic = createTopic({ name: "echo.echoed", codec: echo.echo.input });
const methods = [echo.echo, echo.repeat, echo.collect, echo.chat] as const;

/** A server with these interceptors and handlers of all kinds, and what its handlers received. */
async function intercepted(...interceptors: ServerInterceptor[]) {
  const handled: string[] = [];
  const broker = memoryBroker();
  const running = await startMemoryServer(
    (server) => {
      server.unary(echo.echo, ({ text }) => {
        handled.push("echo");
        return { text };
      });
      server.serverStream(echo.repeat, async function* ({ text }) {
        handled.push("repeat");
        yield { text, index: 0 };
        yield { text, index: 1 };
      });
      server.clientStream(echo.collect, async (requests) => {
        handled.push("collect");
        let text = "";
        for await (const request of requests) text += request.text;
        return { text };
      });
      server.bidi(echo.chat, async function* (requests) {
        handled.push("chat");
        for await (const { text } of requests) yield { text };
      });
      server.subscribe(topic, ({ text }) => {
        handled.push(`event ${text}`);
        if (text === "fails") throw new Error("the handler failed");
      });
    },
    { interceptors, broker },
  );
  return { ...running, running, handled, broker };
}

async function responses(channel: Parameters<typeof call>[0], method: (typeof methods)[number]) {
  const result = call(channel, method, { text: "x" });
  if (!(Symbol.asyncIterator in result)) return [await result];
  const all = [];
  for await (const response of result) all.push(response);
  return all;
}

describe("an interceptor that is a function", () => {
  test("sees calls of all kinds and events until they end", async () => {
    const seen: string[] = [];
    const trace: ServerInterceptorFunction = async ({ kind, name }, next) => {
      seen.push(`${kind} ${name} begins`);
      await next();
      seen.push(`${kind} ends after ${handled.at(-1)}`);
    };
    const { running, channel, broker, handled } = await intercepted(trace);
    await using _ = running;
    for (const method of methods) {
      expect(await responses(channel, method)).not.toEqual([]);
      expect(seen.splice(0)).toEqual([
        `${method.kind} ${method.name} begins`,
        `${method.kind} ends after ${handled.at(-1)}`,
      ]);
    }
    await topic.publish(broker, { text: "1" });
    await expect.poll(() => seen).toEqual(["event echo.echoed begins", "event ends after event 1"]);
  });

  test("can refuse all of them before a handler runs", async () => {
    const guard: ServerInterceptorFunction = async (incoming, next) => {
      await Promise.resolve();
      if (incoming.metadata.get("who") !== "ada") {
        throw new MicroError("permission_denied", "not for you", { outcome: "not-executed" });
      }
      await next();
    };
    const { running, channel, broker, handled, server } = await intercepted(guard);
    await using _ = running;
    for (const method of methods) {
      const error = await errorOf(call(channel, method, { text: "x" }));
      expect(error).toMatchObject({ code: "permission_denied", outcome: "not-executed" });
    }
    await topic.publish(broker, { text: "1" });
    await expect
      .poll(() => server.subscriptions[0]?.stats)
      .toMatchObject({ rejected: 1, failed: 1 });
    expect(handled).toEqual([]);
    await topic.publish(broker, { text: "2" }, { metadata: { who: "ada" } });
    await expect.poll(() => handled).toEqual(["event 2"]);
  });

  /** A server whose handlers fail, the streaming one after its first message. */
  const failing = (interceptor: ServerInterceptorFunction) =>
    startMemoryServer(
      (server) => {
        server.unary(echo.echo, () => Promise.reject(new Error("secret")));
        server.serverStream(echo.repeat, async function* () {
          yield { text: "1" };
          throw new Error("secret");
        });
      },
      { interceptors: [interceptor] },
    );

  test("sees a failure as the caller does, and cannot hide it by catching it", async () => {
    const seen: unknown[] = [];
    await using running = await failing((_incoming, next) => {
      return next().catch((reason: unknown) => void seen.push(reason));
    });
    for (const method of [echo.echo, echo.repeat]) {
      const error = await errorOf(call(running.channel, method, {}));
      expect(error).toMatchObject({
        code: "internal",
        message: expect.not.stringContaining("secret"),
      });
      expect(seen.splice(0)).toMatchObject([{ code: "internal", message: error.message }]);
    }
  });

  test("may turn a failure into another one", async () => {
    await using running = await failing(async (_incoming, next) => {
      try {
        await next();
      } catch (cause) {
        throw new MicroError("unavailable", "try later", { cause });
      }
    });
    for (const method of [echo.echo, echo.repeat]) {
      const error = await errorOf(call(running.channel, method, {}));
      expect(error).toMatchObject({ code: "unavailable", message: "try later" });
    }
  });

  test("need not await next: the call ends with its handler", async () => {
    const { running, channel, handled } = await intercepted((_incoming, next) => void next());
    await using _ = running;
    expect(await responses(channel, echo.echo)).toMatchObject([{ text: "x" }]);
    expect(await responses(channel, echo.repeat)).toHaveLength(2);
    expect(handled).toEqual(["echo", "repeat"]);
  });

  test("that forgets next fails the call, and the event is redelivered", async () => {
    const { running, channel, broker, server, handled } = await intercepted(() => {});
    await using _ = running;
    for (const method of methods) {
      const error = await errorOf(call(channel, method, {}));
      expect(error).toMatchObject({ code: "internal", message: /without calling next/ });
    }
    await topic.publish(broker, { text: "1" });
    await expect.poll(() => server.subscriptions[0]?.stats.failed).toBeGreaterThan(0);
    expect(server.subscriptions[0]?.stats.delivered).toBe(0);
    expect(handled).toEqual([]);
  });

  test("is notified that the caller left a stream, and the handler ends", async () => {
    const ends: unknown[] = [];
    const { running, channel, server } = await intercepted(async (_incoming, next) => {
      await next().catch((reason: unknown) => {
        ends.push(reason);
        throw reason;
      });
    });
    await using _ = running;
    for await (const _response of channel.stream(echo.repeat, [{ text: "x" }], outgoing())) break;
    await expect.poll(() => ends).toMatchObject([{ code: "canceled" }]);
    await expect.poll(() => server.stats.inFlight).toBe(0);
  });

  test("does not run the handler of a call that was cancelled in the meantime", async () => {
    const abort = new AbortController();
    const { running, channel, handled, server } = await intercepted(async (_incoming, next) => {
      abort.abort();
      await new Promise((resolve) => setImmediate(resolve));
      await next();
    });
    await using _ = running;
    for (const method of [echo.echo, echo.repeat]) {
      await errorOf(call(channel, method, {}, { signal: abort.signal }));
    }
    await expect.poll(() => server.stats.inFlight).toBe(0);
    expect(handled).toEqual([]);
  });

  test("keeps its order among message interceptors, and shares their context", async () => {
    const order: string[] = [];
    const named =
      (name: string): ServerInterceptorFunction =>
      async (_incoming, next) => {
        order.push(`${name} in`);
        await next();
        order.push(`${name} out`);
      };
    const { running, channel, broker } = await intercepted(
      named("a"),
      {
        unary: (_context, request, next) => next({ ...(request as object), text: "changed" }),
        stream: (_context, requests, next) => next(requests),
        event: (_context, message, next) => next({ ...(message as object), text: "changed" }),
      },
      named("b"),
    );
    await using _ = running;
    expect(await responses(channel, echo.echo)).toMatchObject([{ text: "changed" }]);
    expect(order.splice(0)).toEqual(["a in", "b in", "b out", "a out"]);
    await topic.publish(broker, { text: "x" });
    await expect.poll(() => order).toEqual(["a in", "b in", "b out", "a out"]);
  });
});

test("an event's subscriber has the name of its rpc, if any", async () => {
  const seen: Incoming[] = [];
  const broker = memoryBroker();
  await using _running = await startMemoryServer(
    (server) => server.subscribe(topic, () => {}, { name: "a.v1.S/OnEchoed" }),
    {
      broker,
      interceptors: [
        (incoming, next) => {
          seen.push(incoming);
          return next();
        },
      ],
    },
  );
  await topic.publish(broker, { text: "x" }, { metadata: { who: "ada" } });
  await expect.poll(() => seen).toMatchObject([{ kind: "event", name: "a.v1.S/OnEchoed" }]);
  expect(seen[0]?.metadata.get("who")).toBe("ada");
});

test.each<[string, unknown, RegExp]>([
  [
    "only unary",
    [{ unary: () => {} }],
    /interceptors\[0\] has no function stream and no function event/,
  ],
  ["no event", [() => {}, { unary() {}, stream() {} }], /interceptors\[1\] has no function event/],
  ["nothing", [{}], /no function unary/],
  ["null", [null], /interceptors\[0\] must be a function or an object; got null/],
  ["no list", () => {}, /interceptors must be a list of interceptors; got function/],
])("a server refuses an interceptor with %s", async (_what, interceptors, message) => {
  const start = startMemoryServer(registerEcho, { interceptors: interceptors as never });
  expect(await errorOf(start)).toMatchObject({ code: "invalid_argument", message });
});
