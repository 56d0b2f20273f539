import { afterEach, describe, expect, test } from "vitest";
import { type ScriptedClient, scriptedClient } from "../../../test/support/client.ts";
import { echo } from "../../../test/support/echo.ts";
import type { ScriptedCall } from "../../../test/support/scripted-transport.ts";
import { errorOf } from "../../../test/support/server.ts";
import { deadlineAfter, remainingMs } from "../base/deadline.ts";
import { MicroError, type Outcome } from "../base/error.ts";
import { byLabel, byVersion } from "../selector/filters.ts";
import type { ClientParts } from "./rpc-client.ts";

const open: ScriptedClient[] = [];
afterEach(async () => {
  for (const it of open.splice(0)) await it.close();
});

async function start(nodes: readonly string[], parts: Partial<ClientParts> = {}) {
  const it = await scriptedClient(nodes, parts);
  open.push(it);
  return it;
}

function unavailable(outcome: Outcome): MicroError {
  return new MicroError("unavailable", "gone", { outcome });
}

/** Waits for the abort of a call as a transport does. */
function untilAborted({ call }: ScriptedCall): Promise<never> {
  return new Promise((_resolve, reject) => {
    call.signal?.addEventListener("abort", () =>
      reject(new MicroError("canceled", "aborted", { outcome: "unknown" })),
    );
  });
}

const quick = { retry: { backoffMs: 1, maxBackoffMs: 2 } };

describe("an attempt that fails", () => {
  test("is repeated on another node when it certainly did not run", async () => {
    const { client, transport } = await start(["a", "b", "c"]);
    const failing = new Set<string>();
    transport.onUnary = ({ address }) => {
      if (failing.size === 2) return { text: address };
      failing.add(address);
      throw unavailable("not-executed");
    };
    const { text } = await client.unary(echo.once, {});
    expect(transport.calls).toHaveLength(3);
    expect(new Set(transport.calls.map(({ address }) => address)).size).toBe(3);
    expect(failing).not.toContain(text);
  });

  test("is not repeated when it may have run and is not idempotent", async () => {
    const { client, transport } = await start(["a", "b"], quick);
    transport.onUnary = () => {
      throw unavailable("unknown");
    };
    const error = await errorOf(client.unary(echo.once, {}));
    expect(error).toMatchObject({ code: "unavailable", outcome: "unknown" });
    expect(error.message).toMatch(/EchoService\/Once on echo at memory:[ab]: gone/);
    expect(transport.calls).toHaveLength(1);
  });

  test.each([
    ["the method is", echo.echo, {}, 3],
    ["the call is", echo.once, { idempotent: true }, 3],
    ["the call is not", echo.echo, { idempotent: false }, 1],
    ["retries are off", echo.echo, { retry: false }, 1],
    ["more are allowed", echo.echo, { retry: { attempts: 4 } }, 4],
    ["too many are allowed", echo.echo, { retry: { attempts: 40 } }, 5],
  ] as const)("is repeated as often as idempotency and policy allow: %s", async (...row) => {
    const [, method, options, attempts] = row;
    const { client, transport } = await start(["a", "b"], quick);
    transport.onUnary = () => {
      throw unavailable("unknown");
    };
    const error = await errorOf(client.unary(method, {}, options));
    expect(transport.calls).toHaveLength(attempts);
    if (attempts > 1) expect(error.message).toContain(`attempt ${attempts}`);
  });

  test.each([
    ["unknown", ["unknown", "not-executed"]],
    ["unknown", ["executed", "unknown", "not-executed"]],
    ["executed", ["executed", "not-executed"]],
    ["executed", ["unknown", "executed"]],
    ["not-executed", ["not-executed", "not-executed"]],
  ] as const)("leaves the call %s after attempts that were %j", async (expected, outcomes) => {
    const policy = { ...quick.retry, attempts: outcomes.length };
    const { client, transport } = await start(["a", "b"], { retry: policy });
    const left = [...outcomes] as Outcome[];
    const fail = () => {
      const outcome = left.shift() ?? "not-executed";
      throw left.length > 0
        ? unavailable(outcome)
        : new MicroError("resource_exhausted", "refused", { outcome });
    };
    transport.onUnary = fail;
    const error = await errorOf(client.unary(echo.echo, {}));
    expect(error).toMatchObject({ code: "resource_exhausted", outcome: expected });
    expect(transport.calls).toHaveLength(outcomes.length);

    left.push(...outcomes);
    // biome-ignore lint/correctness/useYield: it fails before its first response
    transport.onStream = async function* () {
      fail();
    };
    const repeatable: typeof echo.repeat = { ...echo.repeat, idempotency: "idempotent" };
    const responses = client.serverStream(repeatable, {})[Symbol.asyncIterator]();
    const ofStream = await errorOf(responses.next());
    expect(ofStream).toMatchObject({ code: "resource_exhausted", outcome: expected });
  });

  test("leaves the outcome open when the call is cancelled before its next attempt", async () => {
    const { client, transport } = await start(["a"], {
      retry: { backoffMs: 60_000, maxBackoffMs: 60_000, attempts: 3 },
    });
    const controller = new AbortController();
    const failed = new Promise<void>((resolve) => {
      transport.onUnary = () => {
        if (transport.calls.length === 1) setImmediate(resolve);
        throw unavailable("unknown");
      };
    });
    const call = errorOf(
      client.unary(echo.echo, {}, { signal: controller.signal, timeoutMs: 600_000 }),
    );
    await failed;
    controller.abort();
    expect(await call).toMatchObject({ code: "canceled", outcome: "unknown" });
  });

  test("reports the number of previous attempts to the server", async () => {
    const { client, transport } = await start(["a"], quick);
    const metadata = { own: "kept" };
    transport.onUnary = ({ call }) => {
      if (transport.calls.length < 3) throw unavailable("unknown");
      return { text: call.metadata?.get("own") };
    };
    expect(await client.unary(echo.echo, {}, { metadata })).toMatchObject({ text: "kept" });
    expect(
      transport.calls.map(({ call }) => call.metadata?.get("micro-previous-attempts")),
    ).toEqual([undefined, "1", "2"]);
  });

  test("passes a response of the handler on as it is", async () => {
    const { client, transport } = await start(["a"], quick);
    const answer = new MicroError("not_found", "no such greeting", { outcome: "executed" });
    transport.onUnary = () => {
      throw answer;
    };
    const error = await errorOf(client.unary(echo.echo, {}));
    expect(error).toMatchObject({
      code: "not_found",
      message: "no such greeting",
      outcome: "executed",
    });
    expect(error.cause).toBeUndefined();
  });

  test("counts once for its node, however it ends", async () => {
    const { client, transport, selector } = await start(["a"], quick);
    const outcomes: Outcome[] = ["not-executed", "unknown", "executed"];
    transport.onUnary = () => {
      const outcome = outcomes.pop();
      if (outcome !== undefined) throw unavailable(outcome);
      return {};
    };
    for (let call = 0; call < 4; call++) await client.unary(echo.echo, {}).catch(() => undefined);
    const candidate = await selector.select("echo");
    expect(candidate.inFlight).toBe(1);
  });
});

describe("the retry budget", () => {
  const load = async (parts: Partial<ClientParts>, calls: number) => {
    const { client, transport } = await start(["a", "b", "c"], { ...quick, ...parts });
    transport.onUnary = () => {
      throw unavailable("unknown");
    };
    for (let call = 0; call < calls; call += 100) {
      await Promise.allSettled(Array.from({ length: 100 }, () => client.unary(echo.echo, {})));
    }
    return transport.calls.length / calls;
  };

  test("keeps retries from multiplying calls when all servers are down", async () => {
    expect(await load({}, 2_000)).toBeLessThan(1.2);
  });

  test("is the cause: without it they multiply", async () => {
    expect(await load({ retryBudget: false }, 500)).toBe(3);
  });

  test("counts refusals by servers that stay connected", async () => {
    const { client, transport } = await start(["a", "b", "c"], quick);
    transport.onUnary = () => {
      throw unavailable("not-executed");
    };
    for (let call = 0; call < 2_000; call++) await client.unary(echo.once, {}).catch(() => {});
    expect(transport.calls.length / 2_000).toBeLessThan(1.2);
  });
});

describe("the deadline", () => {
  test("in the past ends a call before any dial", async () => {
    const { client, transport } = await start(["a"]);
    for (const options of [{ timeoutMs: 0 }, { timeoutMs: -5 }, { deadline: deadlineAfter(-1) }]) {
      const error = await errorOf(client.unary(echo.echo, {}, options));
      expect(error).toMatchObject({ code: "deadline_exceeded", outcome: "not-executed" });
      expect(error.message).toContain("EchoService/Echo on echo");
    }
    expect(await errorOf(client.serverStream(echo.repeat, {}, { timeoutMs: 0 }))).toMatchObject({
      code: "deadline_exceeded",
    });
    expect(transport.dials).toEqual([]);
  });

  test("that is not a number is refused", async () => {
    const { client } = await start(["a"]);
    for (const options of [{ timeoutMs: Number.NaN }, { deadline: Number.NaN }]) {
      const error = await errorOf(client.unary(echo.echo, {}, options));
      expect(error).toMatchObject({ code: "invalid_argument", outcome: "not-executed" });
    }
  });

  test.each([
    ["30 s by default", undefined, undefined, undefined, 30_000],
    ["the schema's", 5_000, undefined, undefined, 5_000],
    ["the client's over the schema's", 5_000, 7_000, undefined, 7_000],
    ["the call's over both", 5_000, 7_000, 60_000, 60_000],
  ])("is %s", async (_what, schema, ofClient, withCallContext, expected) => {
    const parts = ofClient === undefined ? {} : { timeoutMs: ofClient };
    const { client, transport } = await start(["a"], parts);
    const method = schema === undefined ? echo.echo : { ...echo.echo, timeoutMs: schema };
    await client.unary(
      method,
      {},
      withCallContext === undefined ? {} : { timeoutMs: withCallContext },
    );
    const left = remainingMs(transport.calls[0]!.call.deadline);
    expect(left).toBeLessThanOrEqual(expected);
    expect(left).toBeGreaterThan(expected - 4_000);
  });

  test("is the same for all attempts", async () => {
    const { client, transport } = await start(["a"], quick);
    transport.onUnary = () => {
      throw unavailable("unknown");
    };
    await errorOf(client.unary(echo.echo, {}, { timeoutMs: 5_000 }));
    expect(new Set(transport.calls.map(({ call }) => call.deadline)).size).toBe(1);
  });

  test("prevents a retry that could not finish in time", async () => {
    const { client, transport } = await start(["a"], {
      retry: { backoffMs: 10_000, maxBackoffMs: 10_000 },
    });
    transport.onUnary = () => {
      throw unavailable("unknown");
    };
    await errorOf(client.unary(echo.echo, {}, { timeoutMs: 1_000 }));
    expect(transport.calls).toHaveLength(1);
  });

  test("ends a call that waits for a connection", async () => {
    const { client, transport } = await start(["a"]);
    transport.onDial = () => new Promise(() => {});
    const error = await errorOf(client.unary(echo.echo, {}, { timeoutMs: 20 }));
    expect(error).toMatchObject({ code: "deadline_exceeded", outcome: "not-executed" });
    expect(error.message).toMatch(/while memory:a was dialled/);
  });
});

describe("cancellation", () => {
  test("before the call sends nothing", async () => {
    const { client, transport } = await start(["a"]);
    const error = await errorOf(client.unary(echo.echo, {}, { signal: AbortSignal.abort() }));
    expect(error).toMatchObject({ code: "canceled", outcome: "not-executed" });
    expect(transport.dials).toEqual([]);
  });

  test.each<[string, (it: ScriptedClient, reached: () => void) => void]>([
    [
      "while a node is looked for",
      (it, reached) => {
        Object.assign(it.selector, {
          select: (_: string, { signal }: { signal: AbortSignal }) => {
            reached();
            return new Promise((_resolve, reject) =>
              signal.addEventListener("abort", () =>
                reject(new MicroError("canceled", "aborted", { outcome: "not-executed" })),
              ),
            );
          },
        });
      },
    ],
    [
      "while a node is dialled",
      (it, reached) => {
        it.transport.onDial = () => {
          reached();
          return new Promise(() => {});
        };
      },
    ],
    [
      "during the call",
      (it, reached) => {
        it.transport.onUnary = (call) => {
          reached();
          return untilAborted(call);
        };
      },
    ],
    [
      "before a retry",
      (it, reached) => {
        it.transport.onUnary = () => {
          reached();
          throw unavailable("unknown");
        };
      },
    ],
  ])("%s ends it", async (_what, arrange) => {
    const it = await start(["a"], { retry: { backoffMs: 60_000, maxBackoffMs: 60_000 } });
    const controller = new AbortController();
    arrange(it, () => setImmediate(() => controller.abort()));
    const options = { signal: controller.signal, timeoutMs: 100_000 };
    const error = await errorOf(it.client.unary(echo.echo, {}, options));
    expect(error.code).toBe("canceled");
    expect(it.transport.calls.length).toBeLessThanOrEqual(1);
  });

  test("by a timeout is deadline_exceeded", async () => {
    const { client, transport } = await start(["a"]);
    transport.onDial = () => new Promise(() => {});
    const error = await errorOf(client.unary(echo.echo, {}, { signal: AbortSignal.timeout(10) }));
    expect(error.code).toBe("deadline_exceeded");
  });

  test("of many calls by one signal leaves no listener", async () => {
    const { client, transport } = await start(["a"]);
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on("warning", onWarning);
    const { signal } = new AbortController();
    transport.onDial = () => new Promise((resolve) => setTimeout(resolve, 5));
    await Promise.all(Array.from({ length: 50 }, () => client.unary(echo.echo, {}, { signal })));
    await new Promise(setImmediate);
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
  });
});

describe("where a call goes", () => {
  test("by address it uses no registry", async () => {
    const { client, transport } = await start([]);
    transport.onUnary = ({ address }) => ({ text: address });
    const options = { address: "memory:elsewhere" };
    expect(await client.unary(echo.echo, {}, options)).toMatchObject({
      text: "memory:elsewhere",
    });
  });

  test("an address that no transport can dial is reported as invalid", async () => {
    const { client } = await start([]);
    const error = await errorOf(client.unary(echo.echo, {}, { address: "gopher://x" }));
    expect(error).toMatchObject({ code: "invalid_argument", outcome: "not-executed" });
    expect(error.message).toMatch(/scripted.*gopher/);
  });

  test("to the service that the call names", async () => {
    const { client, register } = await start(["a"]);
    await register("other", { service: "other" });
    const { transport } = open.at(-1)!;
    transport.onUnary = ({ address }) => ({ text: address });
    const answer = await client.unary(echo.echo, {}, { service: "other" });
    expect(answer).toMatchObject({ text: "memory:other" });
  });

  test("to nodes that the client's and the call's filters allow", async () => {
    const it = await start([], { filters: [byVersion("2")] });
    await it.register("a", { metadata: { protocol: "scripted", zone: "x" } });
    await it.register("b", { version: "2", metadata: { protocol: "scripted", zone: "x" } });
    await it.register("c", { version: "2", metadata: { protocol: "scripted", zone: "y" } });
    it.transport.onUnary = ({ address }) => ({ text: address });
    const filters = [byLabel("zone", "x")];
    for (let call = 0; call < 6; call++) {
      expect(await it.client.unary(echo.echo, {}, { filters })).toMatchObject({
        text: "memory:b",
      });
    }
    const error = await errorOf(
      it.client.unary(echo.echo, {}, { filters: [byLabel("zone", "q")] }),
    );
    expect(error.message).toMatch(/version 2.*zone=q/);
  });

  test("not to nodes whose protocol no transport has", async () => {
    const it = await start(["a"]);
    await it.register("b", { metadata: { protocol: "carrier-pigeon" } });
    await it.register("c", { address: "gopher:1" });
    it.transport.onUnary = ({ address }) => ({ text: address });
    for (let call = 0; call < 6; call++) {
      expect(await it.client.unary(echo.echo, {})).toMatchObject({ text: "memory:a" });
    }
  });

  test("not to an invalid address, whatever a registry says", async () => {
    const it = await start(["a", "b"]);
    it.transport.onDial = (address) => {
      if (address === "memory:a") throw new MicroError("invalid_argument", "no such port");
    };
    it.transport.onUnary = ({ address }) => ({ text: address });
    for (let call = 0; call < 4; call++) {
      expect(await it.client.unary(echo.once, {})).toMatchObject({ text: "memory:b" });
    }
  });

  test("an unknown service is an error that says what to do", async () => {
    const { client } = await start([]);
    const error = await errorOf(client.unary(echo.echo, {}));
    expect(error).toMatchObject({ code: "unavailable", outcome: "not-executed" });
    expect(error.message).toMatch(/memory registry knows no node of echo.*start the service/);
    expect(error.message).not.toContain("attempt");
  });
});

describe("streams", () => {
  test("are restarted while no response arrived and no request is lost", async () => {
    const { client, transport } = await start(["a", "b"], quick);
    let begun = 0;
    transport.onStream = async function* () {
      if (++begun < 3) throw unavailable("unknown");
      yield { index: 1 };
      yield { index: 2 };
    };
    const method = { ...echo.repeat, idempotency: "idempotent" as const };
    const seen: number[] = [];
    for await (const { index } of client.serverStream(method, {})) seen.push(index);
    expect(seen).toEqual([1, 2]);
    expect(begun).toBe(3);
  });

  test("are not restarted once a response arrived", async () => {
    const { client, transport } = await start(["a", "b"], quick);
    let begun = 0;
    transport.onStream = async function* () {
      begun++;
      yield { index: 1 };
      throw unavailable("not-executed");
    };
    const error = await errorOf(client.serverStream(echo.repeat, {}));
    expect(error.code).toBe("unavailable");
    expect(begun).toBe(1);
  });

  test("pass requests that were not sent yet to the next attempt", async () => {
    const { client, transport } = await start(["a", "b"], quick);
    let begun = 0;
    transport.onStream = async function* (_call, requests) {
      const iterator = (requests as AsyncIterable<unknown>)[Symbol.asyncIterator]();
      if (++begun === 1) {
        await iterator.return?.();
        throw unavailable("not-executed");
      }
      let index = 0;
      while ((await iterator.next()).done !== true) index++;
      yield { index };
    };
    async function* requests() {
      yield { text: "one" };
      yield { text: "two" };
    }
    expect(await client.clientStream(echo.collect, requests())).toMatchObject({ index: 2 });
  });

  test("do not send some of the requests twice", async () => {
    const { client, transport } = await start(["a", "b"], quick);
    let begun = 0;
    transport.onStream = async function* (_call, requests) {
      begun++;
      for await (const request of requests) {
        if (request !== undefined) throw unavailable("not-executed");
        yield {};
      }
    };
    async function* requests() {
      yield { text: "one" };
    }
    const method = { ...echo.collect, idempotency: "idempotent" as const };
    expect(await errorOf(client.clientStream(method, requests()))).toMatchObject({
      code: "unavailable",
    });
    expect(begun).toBe(1);
    // Requests in an array can be sent again.
    expect((await errorOf(client.clientStream(method, [{ text: "one" }]))).message).toMatch(
      /attempt/,
    );
  });

  test("that are abandoned end the call and free the node", async () => {
    const { client, transport, selector } = await start(["a"]);
    let returned = false;
    transport.onStream = async function* () {
      try {
        for (let index = 0; ; index++) yield { index };
      } finally {
        returned = true;
      }
    };
    for await (const { index } of client.serverStream(echo.repeat, {})) if (index === 3) break;
    expect(returned).toBe(true);
    expect((await selector.select("echo")).inFlight).toBe(1);
  });

  test("that are abandoned while they open end at once", async () => {
    const { client, transport, selector } = await start(["a"]);
    let opened: () => void = () => undefined;
    transport.onDial = () =>
      new Promise((resolve) => {
        opened = resolve;
      });
    const iterator = client.serverStream(echo.repeat, {})[Symbol.asyncIterator]();
    const first = iterator.next();
    while (transport.dials.length === 0) await new Promise(setImmediate);
    expect(await iterator.return?.()).toEqual({ done: true, value: undefined });
    opened();
    expect(await first).toEqual({ done: true, value: undefined });
    expect((await selector.select("echo")).inFlight).toBe(1);
  });

  test("serve several concurrent reads in order", async () => {
    const { client, transport } = await start(["a"]);
    transport.onStream = async function* () {
      for (let index = 0; index < 3; index++) yield { index };
    };
    const iterator = client.serverStream(echo.repeat, {})[Symbol.asyncIterator]();
    const reads = await Promise.all([1, 2, 3, 4].map(() => iterator.next()));
    expect(reads.map(({ value }) => (value as { index: number } | undefined)?.index)).toEqual([
      0,
      1,
      2,
      undefined,
    ]);
  });

  test.each([
    ["no response", 0],
    ["several responses", 2],
  ])("with %s instead of one fail as unimplemented", async (_what, count) => {
    const { client, transport } = await start(["a"]);
    transport.onStream = async function* () {
      for (let index = 0; index < count; index++) yield { index };
    };
    const error = await errorOf(client.clientStream(echo.collect, []));
    expect(error.code).toBe("unimplemented");
    expect(error.message).toContain("EchoService/Collect");
  });

  test("report their end to the selector once", async () => {
    const { client, transport, selector } = await start(["a"], quick);
    transport.onStream = async function* () {
      if (transport.channels.length > 0) throw new MicroError("internal", "x");
      yield {};
    };
    for (let call = 0; call < 3; call++) await errorOf(client.serverStream(echo.repeat, {}));
    expect((await selector.select("echo")).inFlight).toBe(1);
  });
});

test("a method called as another kind is refused", async () => {
  const { client, transport } = await start(["a"]);
  const error = await errorOf(client.unary(echo.repeat, {}));
  expect(error).toMatchObject({ code: "unimplemented", outcome: "not-executed" });
  expect(error.message).toContain("server_streaming");
  expect(transport.dials).toEqual([]);
});
