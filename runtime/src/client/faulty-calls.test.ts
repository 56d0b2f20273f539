import { afterEach, describe, expect, test } from "vitest";
import { type ScriptedClient, scriptedClient } from "../../../test/support/client.ts";
import { echo } from "../../../test/support/echo.ts";
import { errorOf, recordingLogger } from "../../../test/support/server.ts";
import type { Method } from "../call/method.ts";
import type { CallOptions, Client, ClientInterceptor } from "./client.ts";
import type { ClientParts } from "./rpc-client.ts";

const open: ScriptedClient[] = [];
afterEach(async () => {
  for (const it of open.splice(0)) await it.close();
});

async function start(parts: Partial<ClientParts> = {}) {
  const it = await scriptedClient(["a"], parts);
  open.push(it);
  return it;
}

/**
 * Closes with ten minutes of grace, more than any test has: a call that stays open for ever fails
 * by the time limit.
 */
function closeWithGrace(client: Client): Promise<void> {
  return client.close(600_000);
}

const thrower = (): never => {
  throw new TypeError("oops");
};
const untyped = (value: unknown) => value as never;

/** Mistakes of a caller, an interceptor or a part, for each kind of call. */
const options: readonly (readonly [string, CallOptions])[] = [
  ["a metadata key that is not allowed", { metadata: { "bad key": "x" } }],
  ["a metadata value that is not allowed", { metadata: { key: "line\nbreak" } }],
  ["metadata that cannot be iterated", { metadata: untyped({ [Symbol.iterator]: thrower }) }],
  ["a deadline that is not a number", { deadline: Number.NaN }],
  ["a deadline that has passed", { deadline: -1 }],
  ["a signal that fired before", { signal: AbortSignal.abort() }],
  ["a signal that is not one", { signal: untyped({ aborted: false }) }],
  ["a context that is not one", { context: untyped({}) }],
  ["filters that are not a list", { filters: untyped(7) }],
  ["a filter that throws", { filters: [thrower] }],
  ["an address that no transport can dial", { address: "nowhere" }],
];

const interceptors: readonly (readonly [string, ClientInterceptor])[] = [
  ["that throws", { unary: thrower, stream: thrower }],
  [
    "whose stream cannot be iterated",
    { unary: thrower, stream: () => ({ [Symbol.asyncIterator]: thrower }) },
  ],
  [
    "that throws after the call",
    {
      unary: async (_call, request, next) => {
        await next(request);
        return thrower();
      },
      async *stream(_call, requests, next) {
        for await (const _ of next(requests));
        thrower();
        yield {};
      },
    },
  ],
];

describe("a call that cannot be made rejects, and is no longer counted as open:", () => {
  test.each(options)("%s", async (_what, given) => {
    const { client } = await start();
    await expectAllToFail(client, given);
    await closeWithGrace(client);
  });

  test.each(interceptors)("an interceptor %s", async (_what, interceptor) => {
    const { client } = await start({ interceptors: [interceptor] });
    await expectAllToFail(client, {});
    await closeWithGrace(client);
  });

  test("a selector that throws when picking, and one that throws on feedback", async () => {
    for (const part of ["select", "report"]) {
      const logger = recordingLogger();
      const { client, selector, transport } = await start();
      transport.onStream = async function* () {};
      const { buildClient } = await import("./rpc-client.ts");
      const faulty = buildClient({
        transports: [transport],
        logger,
        selector: {
          name: "faulty",
          close: async () => {},
          [Symbol.asyncDispose]: async () => {},
          onNodeChange: (listener) => selector.onNodeChange(listener),
          select: async (service, call) => {
            if (part === "select") thrower();
            return { ...(await selector.select(service, call)), report: thrower };
          },
        },
      });
      if (part === "select") await expectAllToFail(faulty, {});
      else {
        expect(await faulty.unary(echo.echo, {})).toBeDefined();
        for await (const _ of faulty.serverStream(echo.repeat, {}));
        expect(logger.lines.map(({ message }) => message)).toContain(
          "the selector threw while recording how an attempt ended",
        );
      }
      await closeWithGrace(faulty);
      await client.close();
    }
  });

  test("a channel that throws, and one that fails a call before it throws", async () => {
    for (const failFirst of [true, false]) {
      const { client, transport } = await start({ retry: false });
      await client.unary(echo.echo, {});
      const channel = transport.channels[0] as unknown as Record<string, unknown>;
      channel.startUnary = (
        _method: unknown,
        _request: unknown,
        _call: unknown,
        receiver: never,
      ) => {
        if (failFirst) (receiver as { failed(reason: unknown): void }).failed(new Error("first"));
        thrower();
      };
      channel.stream = thrower;
      await expectAllToFail(client, {});
      await closeWithGrace(client);
    }
  });

  test("requests that cannot be iterated", async () => {
    const { client, transport } = await start();
    transport.onStream = (_call, requests) => requests as AsyncIterable<unknown>;
    const requests = { [Symbol.asyncIterator]: thrower };
    await errorOf(client.bidi(echo.chat, requests));
    await errorOf(client.clientStream(echo.collect, requests));
    await closeWithGrace(client);
  });
});

describe("invalid arguments from untyped code are named, with what to pass instead:", () => {
  test("no request", async () => {
    const { client } = await start();
    const unary = await errorOf(client.unary(echo.echo, untyped(undefined)));
    expect(unary).toMatchObject({ code: "invalid_argument", outcome: "not-executed" });
    expect(unary.message).toContain("Echo was called with nothing in place of a request; pass");
    const stream = await errorOf(client.serverStream(echo.repeat, untyped("text")));
    expect(stream.message).toContain("Repeat was called with a string in place of a request");
  });

  test("a single object instead of a stream of requests", async () => {
    const { client } = await start();
    const calls = [
      client.clientStream(echo.collect, untyped({ text: "a" })),
      client.bidi(echo.chat, untyped({ text: "a" })),
    ];
    for (const call of calls) {
      const error = await errorOf(call);
      expect(error.code).toBe("invalid_argument");
      expect(error.message).toContain("was called with a single object; pass an array");
    }
  });
});

async function expectAllToFail(client: Client, given: CallOptions): Promise<void> {
  await errorOf(unaryThatMustNotThrow(client, echo.echo, given));
  await errorOf(client.serverStream(echo.repeat, {}, given));
  await errorOf(client.clientStream(echo.collect, [{}], given));
  await errorOf(client.bidi(echo.chat, [{}], given));
}

function unaryThatMustNotThrow(
  client: Client,
  method: Method<unknown, object, unknown, object>,
  given: CallOptions,
): Promise<unknown> {
  try {
    return client.unary(method, {}, given);
  } catch (reason) {
    throw new Error("the call threw in place of rejecting", { cause: reason });
  }
}
