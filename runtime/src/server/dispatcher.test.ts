import { create } from "@bufbuild/protobuf";
import { contextKey, deadlineAfter, MicroError, type Server } from "@micro-es/runtime";
import { describe, expect, test } from "vitest";
import { EchoRequestSchema, EchoResponseSchema } from "../../../test/gen/micro/test/v1/echo_pb.ts";
import { echo } from "../../../test/support/echo.ts";
import {
  call,
  errorOf,
  outgoing,
  registerEcho,
  startMemoryServer,
} from "../../../test/support/server.ts";
import type { ServerMessageInterceptor } from "./server.ts";

const secret = "the password is swordfish";

// Handlers that types would forbid, which plain JavaScript does not.
// biome-ignore lint/suspicious/noExplicitAny: the point of these tests
type Wrong = any;

async function* failingAfterTwo() {
  yield { text: "1" };
  yield { text: "2" };
  throw new Error(secret);
}

const faults: Record<string, { add: (server: Server) => void; method: Wrong; says: RegExp }> = {
  "a synchronous throw": {
    method: echo.echo,
    says: /swordfish[\s\S]*at /,
    add: (server) =>
      server.unary(echo.echo, () => {
        throw new Error(secret);
      }),
  },
  "a rejection": {
    method: echo.echo,
    says: /swordfish/,
    add: (server) => server.unary(echo.echo, () => Promise.reject(new TypeError(secret))),
  },
  "throw null": {
    method: echo.echo,
    says: /null/,
    add: (server) =>
      server.unary(echo.echo, () => {
        throw null;
      }),
  },
  "throw undefined, later": {
    method: echo.echo,
    says: /undefined/,
    add: (server) => server.unary(echo.echo, () => Promise.reject(undefined)),
  },
  "throw text": {
    method: echo.echo,
    says: /swordfish/,
    add: (server) =>
      server.unary(echo.echo, async () => {
        throw secret;
      }),
  },
  "throw an object without a prototype": {
    method: echo.echo,
    says: /null prototype/,
    add: (server) =>
      server.unary(echo.echo, () => {
        throw Object.create(null);
      }),
  },
  "throw a revoked proxy": {
    method: echo.echo,
    says: /./,
    add: (server) =>
      server.unary(echo.echo, () => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        throw proxy;
      }),
  },
  "a response of undefined": {
    method: echo.echo,
    says: /undefined where micro.test.v1.EchoResponse is required/,
    add: (server) => server.unary(echo.echo, (() => undefined) as Wrong),
  },
  "a response of null, later": {
    method: echo.echo,
    says: /null where/,
    add: (server) => server.unary(echo.echo, (async () => null) as Wrong),
  },
  "a response of text": {
    method: echo.echo,
    says: /of type string/,
    add: (server) => server.unary(echo.echo, (() => secret) as Wrong),
  },
  "a response of another message": {
    method: echo.echo,
    says: /EchoRequest where micro.test.v1.EchoResponse is required/,
    add: (server) =>
      server.unary(echo.echo, (() => create(EchoRequestSchema, { text: secret })) as Wrong),
  },
  "a response with a field of another type": {
    method: echo.echo,
    says: /index/,
    add: (server) => server.unary(echo.echo, (() => ({ index: "many" })) as Wrong),
  },
  "a thenable whose then throws": {
    method: echo.echo,
    says: /swordfish/,
    add: (server) =>
      server.unary(echo.echo, (() => ({
        // biome-ignore lint/suspicious/noThenProperty: the case under test
        then() {
          throw new Error(secret);
        },
      })) as Wrong),
  },
  "a stream that throws after messages": {
    method: echo.repeat,
    says: /swordfish/,
    add: (server) => server.serverStream(echo.repeat, failingAfterTwo),
  },
  "a stream handler that throws at once": {
    method: echo.repeat,
    says: /swordfish/,
    add: (server) =>
      server.serverStream(echo.repeat, () => {
        throw new Error(secret);
      }),
  },
  "a stream that is an array": {
    method: echo.repeat,
    says: /an array where an async iterable is required/,
    add: (server) => server.serverStream(echo.repeat, (() => [{ text: secret }]) as Wrong),
  },
  "a stream that is undefined": {
    method: echo.chat,
    says: /undefined where an async iterable is required/,
    add: (server) => server.bidi(echo.chat, (() => undefined) as Wrong),
  },
  "a stream that is a promise": {
    method: echo.chat,
    says: /a promise where an async iterable is required/,
    add: (server) => server.bidi(echo.chat, (async () => failingAfterTwo()) as Wrong),
  },
  "an iterator whose next returns nothing": {
    method: echo.repeat,
    says: /./,
    add: (server) =>
      server.serverStream(echo.repeat, (() => ({
        [Symbol.asyncIterator]: () => ({ next: () => undefined }),
      })) as Wrong),
  },
  "an iterator whose next throws": {
    method: echo.chat,
    says: /swordfish/,
    add: (server) =>
      server.bidi(echo.chat, (() => ({
        [Symbol.asyncIterator]: () => ({
          next: () => {
            throw new Error(secret);
          },
        }),
      })) as Wrong),
  },
  "a message of another type in a stream": {
    method: echo.repeat,
    says: /EchoRequest where/,
    add: (server) =>
      server.serverStream(echo.repeat, async function* () {
        yield create(EchoResponseSchema, { text: "fine" });
        yield create(EchoRequestSchema, { text: secret }) as Wrong;
      }),
  },
  "a client stream whose handler returns undefined": {
    method: echo.collect,
    says: /undefined where/,
    add: (server) => server.clientStream(echo.collect, (async () => undefined) as Wrong),
  },
};

describe("a handler's fault affects only its own call", () => {
  for (const intercepted of [false, true]) {
    for (const [name, { add, method, says }] of Object.entries(faults)) {
      test(`${name}${intercepted ? ", behind an interceptor" : ""}`, async () => {
        const add2 = (server: Server) => {
          add(server);
          server.unary(echo.once, async ({ text }) => ({ text }));
        };
        await using running = await startMemoryServer(add2, {
          interceptors: intercepted
            ? [
                {
                  unary: (_context, request, next) => next(request),
                  stream: (_context, requests, next) => next(requests),
                  event: (_context, message, next) => next(message),
                },
              ]
            : [],
        });
        const { channel, server, log } = running;
        const neighbour = channel.unary(echo.once, { text: "still there" }, outgoing());
        const error = await errorOf(call(channel, method, { text: "x" } as Wrong));

        expect(error.code).toBe("internal");
        expect(error.outcome).toBe("executed");
        expect(error.details).toEqual([]);
        expect(error.cause).toBeUndefined();
        expect(error.message).not.toMatch(/swordfish|\.ts:/);
        expect((await neighbour).text).toBe("still there");

        const line = log.lines.find(({ level }) => level === "error");
        expect(line?.fields.method).toBe(method.name);
        expect(line?.fields.error).toMatch(says);
        expect(error.message).toContain(line?.fields.incident);
        await expect.poll(() => server.stats).toMatchObject({ inFlight: 0, failed: 1, started: 2 });
      });
    }
  }

  test.each([
    ["internal", "error"],
    ["not_found", "debug"],
  ] as const)("the cause of a MicroError %s is logged at %s and not sent", async (code, level) => {
    await using running = await startMemoryServer((server) => {
      server.unary(echo.echo, () => {
        throw new MicroError(code, "no such row", { cause: new Error("swordfish") });
      });
    });
    const error = await errorOf(call(running.channel, echo.echo, {}));
    expect(error).toMatchObject({ code, message: "no such row", outcome: "executed" });
    expect(error.cause).toBeUndefined();
    const line = running.log.lines.find(({ fields }) => /swordfish/.test(String(fields.error)));
    expect(line?.level).toBe(level);
    expect(line?.fields.method).toBe(echo.echo.name);
  });

  test("a logger that throws changes nothing for the caller", async () => {
    const broken = () => {
      throw new Error("disk full");
    };
    await using running = await startMemoryServer(faults["a rejection"]?.add, {
      logger: { debug: broken, info() {}, warn: broken, error: broken },
    });
    const error = await errorOf(call(running.channel, echo.echo, {}));
    expect(error.code).toBe("internal");
  });

  test("survives a hundred faults of each kind at once", async () => {
    const kinds = Object.values(faults).filter(({ method }) => method === echo.echo);
    for (const { add } of kinds) {
      await using running = await startMemoryServer((server) => {
        add(server);
        server.unary(echo.once, async ({ text }) => ({ text }));
      });
      for (let round = 0; round < 1; round++) {
        const calls = Array.from({ length: 100 }, () =>
          errorOf(call(running.channel, echo.echo, {})),
        );
        const errors = await Promise.all(calls);
        expect(errors.every(({ code }) => code === "internal")).toBe(true);
      }
      expect((await running.channel.unary(echo.once, { text: "ok" }, outgoing())).text).toBe("ok");
      expect(running.server.stats).toMatchObject({ inFlight: 0, failed: 100 });
    }
  });
});

describe("a handler's MicroError reaches its caller", () => {
  test("with code, message, details and push-back, as executed", async () => {
    const details = [{ typeName: "google.rpc.BadRequest", value: new Uint8Array([1]) }];
    await using running = await startMemoryServer((server) =>
      server.unary(echo.echo, () => {
        // As an error of a nested call would claim, which is wrong for this call.
        throw new MicroError("unavailable", "stock is closed", {
          outcome: "not-executed",
          retryAfterMs: 70,
          details,
          cause: new Error(secret),
        });
      }),
    );
    const error = await errorOf(call(running.channel, echo.echo, {}));
    expect(error).toMatchObject({
      code: "unavailable",
      message: "stock is closed",
      outcome: "executed",
      retryAfterMs: 70,
      details,
    });
    expect(error.cause).toBeUndefined();
    expect(running.log.lines.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("in a stream, after the messages before it", async () => {
    await using running = await startMemoryServer();
    const texts: string[] = [];
    const answers = running.channel.stream(
      echo.repeat,
      [{ text: "a", count: 2, fail: "aborted" }],
      outgoing(),
    );
    const error = await errorOf(
      (async () => {
        for await (const { text } of answers) texts.push(text);
      })(),
    );
    expect(texts).toEqual(["a", "a"]);
    expect(error.code).toBe("aborted");
  });
});

describe("limits", () => {
  test("calls over the limit are refused at once, as not executed, and may be retried", async () => {
    const release: (() => void)[] = [];
    await using running = await startMemoryServer(
      (server) =>
        server.unary(echo.echo, async () => {
          await new Promise<void>((resolve) => release.push(resolve));
          return {};
        }),
      { maxConcurrentCalls: 2 },
    );
    const { channel, server } = running;
    const first = [
      channel.unary(echo.echo, {}, outgoing()),
      channel.unary(echo.echo, {}, outgoing()),
    ];
    await expect.poll(() => release.length).toBe(2);

    const error = await errorOf(channel.unary(echo.echo, {}, outgoing()));
    expect(error.code).toBe("resource_exhausted");
    expect(error.outcome).toBe("not-executed");
    expect(error.retryAfterMs).toBeGreaterThanOrEqual(100);
    expect(error.message).toContain("limit of 2 concurrent calls");
    expect(server.stats).toMatchObject({ inFlight: 2, started: 2, refused: 1, failed: 0 });

    for (const resolve of release) resolve();
    await Promise.all(first);
    const again = channel.unary(echo.echo, {}, outgoing());
    await expect.poll(() => release.length).toBe(3);
    release[2]?.();
    await again;
  });

  test("streams have a limit of their own", async () => {
    await using running = await startMemoryServer(undefined, { maxConcurrentStreams: 1 });
    const { channel, server } = running;
    const open = channel
      .stream(echo.repeat, [{ count: 1_000_000 }], outgoing())
      [Symbol.asyncIterator]();
    await open.next();
    const error = await errorOf(channel.stream(echo.repeat, [{ count: 1 }], outgoing()));
    expect(error).toMatchObject({ code: "resource_exhausted", outcome: "not-executed" });
    expect((await channel.unary(echo.echo, { text: "unary" }, outgoing())).text).toBe("unary");
    await open.return?.();
    await expect.poll(() => server.stats.inFlight).toBe(0);
  });

  test("a handler that never ends is cancelled at its deadline, and later no longer counted", async () => {
    let cancelled: unknown;
    await using running = await startMemoryServer(
      (server) =>
        server.unary(echo.echo, (_request, context) => {
          context.signal.addEventListener("abort", () => {
            cancelled = context.signal.reason;
          });
          return new Promise(() => {});
        }),
      { abandonAfterMs: 500, maxConcurrentCalls: 1 },
    );
    const { channel, server, log } = running;
    const error = await errorOf(
      channel.unary(echo.echo, {}, outgoing({ deadline: deadlineAfter(500) })),
    );
    expect(error.code).toBe("deadline_exceeded");
    await expect.poll(() => cancelled).toBeInstanceOf(MicroError);
    // It may still be running, so its place is not free yet.
    expect(server.stats.inFlight).toBe(1);
    await expect.poll(() => server.stats).toMatchObject({ inFlight: 0, abandoned: 1 });
    expect(log.lines.at(-1)?.message).toContain("long after its call was cancelled");
  });

  test("a call with a deadline in the past never reaches the handler", async () => {
    let ran = false;
    await using running = await startMemoryServer((server) =>
      server.unary(echo.echo, () => {
        ran = true;
        return {};
      }),
    );
    const error = await errorOf(
      running.channel.unary(echo.echo, {}, outgoing({ deadline: deadlineAfter(-1) })),
    );
    expect(error).toMatchObject({ code: "deadline_exceeded", outcome: "not-executed" });
    expect(ran).toBe(false);
  });
});

describe("unknown methods", () => {
  test("are reported with the nearest known one", async () => {
    await using running = await startMemoryServer();
    const typo = { ...echo.echo, name: "micro.test.v1.EchoService/Ehco" };
    const error = await errorOf(running.channel.unary(typo, {}, outgoing()));
    expect(error).toMatchObject({ code: "unimplemented", outcome: "not-executed" });
    expect(error.message).toContain("did you mean micro.test.v1.EchoService/Echo?");
  });

  test("or with the known ones", async () => {
    await using running = await startMemoryServer((server) => {
      server.unary(echo.echo, () => ({}));
    });
    const other = { ...echo.echo, name: `acme.Payments/${"Refund".repeat(100)}` };
    const error = await errorOf(running.channel.unary(other, {}, outgoing()));
    expect(error.message).toContain("it has micro.test.v1.EchoService/Echo");
    expect(error.message.length).toBeLessThan(400);
  });

  test("are compared with those that exist a limited number of times a second", async () => {
    await using running = await startMemoryServer();
    let compared = 0;
    for (let call = 0; call < 1_000; call++) {
      const unknown = { ...echo.echo, name: `micro.test.v1.EchoService/Echo${call}` };
      const { message } = await errorOf(running.channel.unary(unknown, {}, outgoing()));
      if (message.includes("did you mean")) compared++;
      else expect(message).toMatch(/has no method "micro.test.v1.EchoService.Echo\d+"$/);
    }
    expect(compared).toBeGreaterThanOrEqual(100);
    expect(compared).toBeLessThan(500);
  });

  test("a method of another kind is refused with an explanation", async () => {
    await using running = await startMemoryServer();
    const wrong = { ...echo.echo, kind: "server_streaming" as const };
    const error = await errorOf(running.channel.stream(wrong, [{}], outgoing()));
    expect(error.code).toBe("unimplemented");
  });
});

describe("registration of handlers", () => {
  test("a second handler of a method is refused", async () => {
    await using running = await startMemoryServer((server) => {
      registerEcho(server);
      expect(() => server.unary(echo.echo, () => ({}))).toThrow(
        expect.objectContaining({ code: "already_exists" }),
      );
    });
    expect(running.server.methods).toEqual(Object.values(echo));
  });

  test("a handler of the wrong kind, or too late, is refused", async () => {
    await using running = await startMemoryServer((server) => {
      expect(() => server.unary(echo.repeat as Wrong, () => ({}))).toThrow(
        expect.objectContaining({ code: "invalid_argument" }),
      );
    });
    expect(() => running.server.unary(echo.echo, () => ({}))).toThrow(
      expect.objectContaining({ code: "failed_precondition" }),
    );
  });
});

/** A message interceptor that changes nothing. */
const passing: ServerMessageInterceptor = {
  unary: (_context, request, next) => next(request),
  stream: (_context, requests, next) => next(requests),
  event: (_context, message, next) => next(message),
};

describe("interceptors", () => {
  test("wrap every kind of call, the first outermost, and share values", async () => {
    const order: string[] = [];
    const caller = contextKey("caller", "none");
    const named = (name: string) => ({
      async unary(context: Wrong, request: unknown, next: (request: unknown) => Promise<unknown>) {
        order.push(`${name} in`);
        context.set(caller, name);
        const answer = await next(request);
        order.push(`${name} out`);
        return answer;
      },
      async *stream(_context: Wrong, requests: Wrong, next: Wrong) {
        order.push(`${name} in`);
        yield* next(requests);
        order.push(`${name} out`);
      },
      event: (_context: Wrong, message: Wrong, next: Wrong) => next(message),
    });
    await using running = await startMemoryServer(
      (server) => {
        server.unary(echo.echo, (_request, context) => ({ text: context.get(caller) }));
        server.serverStream(echo.repeat, async function* () {
          yield { text: "1" };
        });
      },
      { interceptors: [named("outer"), named("inner")] },
    );
    expect((await running.channel.unary(echo.echo, {}, outgoing())).text).toBe("inner");
    expect(order.splice(0)).toEqual(["outer in", "inner in", "inner out", "outer out"]);
    for await (const _ of running.channel.stream(echo.repeat, [{}], outgoing()));
    expect(order).toEqual(["outer in", "inner in", "inner out", "outer out"]);
  });

  test("may change the request and the response, and respond themselves", async () => {
    await using running = await startMemoryServer(undefined, {
      interceptors: [
        {
          ...passing,
          async unary(context, request, next) {
            if (context.method.name.endsWith("Once")) return { text: "from the cache" };
            const answer = (await next({ ...(request as object), text: "changed" })) as object;
            return { ...answer, server: "intercepted" };
          },
        },
      ],
    });
    const { channel } = running;
    expect(await channel.unary(echo.echo, { text: "x" }, outgoing())).toMatchObject({
      text: "changed",
      server: "intercepted",
    });
    expect((await channel.unary(echo.once, {}, outgoing())).text).toBe("from the cache");
  });

  test("that refuse keep their outcome; others see what the caller will see", async () => {
    const seen: unknown[] = [];
    await using running = await startMemoryServer(
      (server) => {
        server.unary(echo.echo, () => Promise.reject(new Error(secret)));
        server.unary(echo.once, () => ({}));
      },
      {
        interceptors: [
          {
            ...passing,
            async unary(context, request, next) {
              if (context.method === echo.once) {
                throw new MicroError("unauthenticated", "who are you?", {
                  outcome: "not-executed",
                });
              }
              return next(request).catch((reason: unknown) => {
                seen.push(reason);
                throw reason;
              });
            },
          },
        ],
      },
    );
    const refused = await errorOf(running.channel.unary(echo.once, {}, outgoing()));
    expect(refused).toMatchObject({ code: "unauthenticated", outcome: "not-executed" });
    const failed = await errorOf(running.channel.unary(echo.echo, {}, outgoing()));
    expect(failed).toMatchObject({ code: "internal", outcome: "executed" });
    expect(seen).toEqual([expect.objectContaining({ code: "internal" })]);
    expect(running.log.lines.filter(({ level }) => level === "error")).toHaveLength(1);
  });

  test("that throw other values fail the call as internal", async () => {
    await using running = await startMemoryServer(undefined, {
      interceptors: [{ ...passing, unary: () => Promise.reject(new Error(secret)) }],
    });
    const error = await errorOf(running.channel.unary(echo.echo, {}, outgoing()));
    expect(error.code).toBe("internal");
    expect(error.message).not.toContain("swordfish");
  });
});

test("a caller that leaves a stream ends the handler, whose clean-up runs", async () => {
  let cleaned = false;
  await using running = await startMemoryServer((server) =>
    server.serverStream(echo.repeat, async function* () {
      try {
        for (let index = 0; ; index++) yield { index };
      } finally {
        cleaned = true;
      }
    }),
  );
  for await (const { index } of running.channel.stream(echo.repeat, [{}], outgoing())) {
    if (index === 3) break;
  }
  await expect.poll(() => cleaned).toBe(true);
  await expect.poll(() => running.server.stats.inFlight).toBe(0);
});

test("only marked metadata propagates from an incoming call", async () => {
  const { Metadata } = await import("@micro-es/runtime");
  await using running = await startMemoryServer(
    (server) =>
      server.unary(echo.echo, (_request, context) => ({
        text: JSON.stringify(context.propagatedMetadata.toObject()),
      })),
    { propagate: ["x-tenant"] },
  );
  const metadata = new Metadata({ "x-tenant": "acme", traceparent: "00-1", authorization: "no" });
  const { text } = await running.channel.unary(echo.echo, {}, outgoing({ metadata }));
  expect(JSON.parse(text)).toEqual({ "x-tenant": "acme", traceparent: "00-1" });
});
