import assert from "node:assert/strict";
import { isMessage } from "@bufbuild/protobuf";
import { Metadata, MicroError, remainingMs } from "@micro-es/runtime";
import type { ServerCall } from "@micro-es/runtime/driver";
import { EchoRequestSchema, EchoResponseSchema } from "../gen/micro/test/v1/echo_pb.ts";
import { type EchoMethod, echo } from "../support/echo.ts";
import type { ContractCase } from "./contract.ts";
import {
  type Answers,
  cancellation,
  failure,
  gate,
  onLink,
  outgoing,
  type TransportUnderTest,
  until,
} from "./transport-fixture.ts";

const answerText = (request: { text: string }) => ({ text: request.text });

/** The latency within which both sides of a call regard its end as that of its time. */
const mostDeadlineSkewMs = 15;

/** The behaviour of every transport for unary calls. */
export function unaryContract(under: TransportUnderTest): readonly ContractCase[] {
  return [
    {
      name: "passes a full message to a handler, and accepts an initializer from either side",
      run: () => {
        let received: unknown;
        return onLink(
          under,
          {
            unary: (request) => {
              received = request;
              return { text: "yes" };
            },
          },
          async ({ channel }) => {
            const answer = await channel.unary(echo.echo, { text: "hi" }, outgoing());
            assert.ok(isMessage(received, EchoRequestSchema));
            assert.equal(received.text, "hi");
            assert.equal(received.payload.length, 0);
            assert.ok(isMessage(answer, EchoResponseSchema));
            assert.equal(answer.text, "yes");
            assert.equal(answer.index, 0);
          },
        );
      },
    },
    {
      name: "carries messages without a field",
      run: () =>
        onLink(under, { unary: () => ({}) }, async ({ channel }) => {
          const answer = await channel.unary(echo.echo, {}, outgoing());
          assert.equal(answer.text, "");
        }),
    },
    {
      name: "shares no message between the two sides",
      run: () => {
        const kept = { text: "answer", payload: Uint8Array.of(1, 2, 3) };
        return onLink(
          under,
          {
            unary: (request) => {
              request.text = "changed";
              request.payload[0] = 99;
              return kept;
            },
          },
          async ({ channel }) => {
            const request = { text: "request", payload: Uint8Array.of(7, 8, 9) };
            const answer = await channel.unary(echo.echo, request, outgoing());
            assert.deepEqual(request, { text: "request", payload: Uint8Array.of(7, 8, 9) });
            answer.payload[0] = 99;
            assert.deepEqual(kept.payload, Uint8Array.of(1, 2, 3));
          },
        );
      },
    },
    {
      name: "captures the request when the call is made",
      run: () =>
        onLink(under, { unary: answerText }, async ({ channel }) => {
          const request = { text: "before" };
          const answer = channel.unary(echo.echo, request, outgoing());
          request.text = "after";
          assert.equal((await answer).text, "before");
        }),
    },
    {
      name: "carries messages up to the limit, refuses larger ones on either side, and stays usable",
      run: () => {
        const limit = 300_000;
        const wrapped = 16;
        const payload = new Uint8Array(limit - wrapped).map((_, index) => index * 7);
        let executed = 0;
        return onLink(
          under,
          {
            unary: (request) => {
              executed++;
              if (request.text === "too much") return { payload: new Uint8Array(limit) };
              return { payload: request.payload };
            },
          },
          async ({ channel }) => {
            const answer = await channel.unary(echo.echo, { payload }, outgoing());
            assert.deepEqual(answer.payload, payload);
            const tooLarge = { payload: new Uint8Array(limit) };
            await failure(
              channel.unary(echo.echo, tooLarge, outgoing()),
              "resource_exhausted",
              "not-executed",
            );
            assert.equal(executed, 1);
            await failure(
              channel.unary(echo.echo, { text: "too much" }, outgoing()),
              "resource_exhausted",
              "executed",
            );
            const again = await channel.unary(echo.echo, { payload }, outgoing());
            assert.equal(again.payload.length, payload.length);
          },
          { limits: { maxMessageBytes: limit } },
        );
      },
    },
    {
      name: "carries a thousand calls at once, each with its own response",
      run: () =>
        onLink(
          under,
          {
            unary: async (request) => {
              await new Promise((resolve) => setTimeout(resolve, request.count % 20));
              return { text: request.text };
            },
          },
          async ({ channel, listener }) => {
            const calls = Array.from({ length: 1000 }, (_, index) =>
              channel.unary(echo.echo, { text: `${index}`, count: index }, outgoing()),
            );
            assert.equal(channel.openCalls, 1000);
            await until(() => listener.openCalls > 0);
            const answers = await Promise.all(calls);
            for (const [index, answer] of answers.entries()) assert.equal(answer.text, `${index}`);
          },
        ),
    },
    {
      name: "refuses calls beyond the limit of a connection as not executed",
      run: () => {
        const finish = gate();
        return onLink(
          under,
          { unary: (request) => finish.promise.then(() => answerText(request)) },
          async ({ channel }) => {
            const open = [1, 2].map((index) =>
              channel.unary(echo.echo, { text: `${index}` }, outgoing()),
            );
            await failure(
              channel.unary(echo.echo, {}, outgoing()),
              "resource_exhausted",
              "not-executed",
            );
            finish.open();
            assert.deepEqual(
              (await Promise.all(open)).map((answer) => answer.text),
              ["1", "2"],
            );
          },
          { limits: { maxConcurrentCalls: 2 } },
        );
      },
    },
    {
      name: "carries metadata with requests, and metadata and trailers with responses, text and bytes",
      run: () => {
        let tenants: readonly unknown[] = [];
        let token: Uint8Array | undefined;
        return onLink(
          under,
          {
            unary: (_request, call) => {
              tenants = call.requestMetadata.getAll("x-tenant");
              token = call.requestMetadata.getBinary("token-bin");
              call.responseMetadata.set("x-served-by", "a");
              call.trailers.set("x-cost", "7").set("sum-bin", Uint8Array.of(0, 255));
              return {};
            },
          },
          async ({ channel }) => {
            const metadata = new Metadata([
              ["X-Tenant", "one"],
              ["x-tenant", "two"],
              ["token-bin", Uint8Array.of(0, 200)],
            ]);
            const call = outgoing({ metadata });
            await channel.unary(echo.echo, {}, call);
            assert.deepEqual(tenants, ["one", "two"]);
            assert.deepEqual(token, Uint8Array.of(0, 200));
            assert.equal(call.responseMetadata?.get("x-served-by"), "a");
            assert.equal(call.trailers?.get("x-cost"), "7");
            assert.deepEqual(call.trailers?.getBinary("sum-bin"), Uint8Array.of(0, 255));
            assert.equal(metadata.has("x-cost"), false);
          },
        );
      },
    },
    {
      name: "refuses metadata that is too large, and fails a response with too much",
      run: () =>
        onLink(
          under,
          {
            unary: (_request, call) => {
              for (let index = 0; index < 5; index++) {
                call.trailers.append(`x-${index}`, "v".repeat(4000));
              }
              return {};
            },
          },
          async ({ channel }) => {
            const metadata = new Metadata();
            for (let index = 0; index < 5; index++) metadata.set(`x-${index}`, "v".repeat(4000));
            await failure(
              channel.unary(echo.echo, {}, outgoing({ metadata })),
              "resource_exhausted",
              "not-executed",
            );
            await failure(
              channel.unary(echo.echo, {}, outgoing()),
              "resource_exhausted",
              "executed",
            );
          },
        ),
    },
    {
      name: "carries a handler's error completely, with metadata and trailers",
      run: () =>
        onLink(
          under,
          {
            unary: (_request, call) => {
              call.responseMetadata.set("x-served-by", "a");
              call.trailers.set("x-cost", "7");
              throw new MicroError("failed_precondition", "not yet: ⏳", {
                outcome: "executed",
                retryAfterMs: 1500,
                details: [{ typeName: "acme.Why", value: Uint8Array.of(8, 1) }],
              });
            },
          },
          async ({ channel }) => {
            const call = outgoing();
            const error = await failure(
              channel.unary(echo.echo, {}, call),
              "failed_precondition",
              "executed",
            );
            assert.equal(error.message, "not yet: ⏳");
            assert.equal(error.retryAfterMs, 1500);
            assert.deepEqual(error.details, [{ typeName: "acme.Why", value: Uint8Array.of(8, 1) }]);
            assert.equal(call.responseMetadata?.get("x-served-by"), "a");
            assert.equal(call.trailers?.get("x-cost"), "7");
          },
        ),
    },
    {
      name: "reveals nothing of other values that a handler throws",
      run: () => {
        const thrown = [new Error("secret"), "secret", null, undefined];
        return onLink(
          under,
          {
            unary: (request) => {
              if (request.text === "later") return Promise.reject(thrown[request.count]);
              throw thrown[request.count];
            },
          },
          async ({ channel }) => {
            for (const text of ["now", "later"]) {
              for (const count of thrown.keys()) {
                const call = channel.unary(echo.echo, { text, count }, outgoing());
                const error = await failure(call, "internal", "executed");
                assert.doesNotMatch(error.message, /secret/);
                assert.match(error.message, /EchoService\/Echo/);
              }
            }
          },
        );
      },
    },
    {
      name: "fails a call whose handler does not return a response, with the dispatcher's error",
      run: async () => {
        const wrong: Answers = { unary: () => ({ index: "one" }) };
        await onLink(under, wrong, async ({ channel }) => {
          await failure(channel.unary(echo.echo, {}, outgoing()), "internal", "executed");
        });
        const told: unknown[] = [];
        const invalidResponse = (call: ServerCall, reason: unknown) => {
          told.push(call.method.name, reason);
          return new MicroError("internal", "mine", { outcome: "executed" });
        };
        await onLink(
          under,
          wrong,
          async ({ channel }) => {
            const error = await failure(channel.unary(echo.echo, {}, outgoing()), "internal");
            assert.equal(error.message, "mine");
            assert.equal(told[0], echo.echo.name);
            assert.ok(told[1] instanceof Error);
          },
          { hooks: { invalidResponse } },
        );
      },
    },
    {
      name: "does not send an invalid request",
      run: () =>
        onLink(under, {}, async ({ channel }) => {
          const request = { count: "many" } as unknown as { count: number };
          await failure(
            channel.unary(echo.echo, request, outgoing()),
            "invalid_argument",
            "not-executed",
          );
        }),
    },
    {
      name: "refuses bytes that are not a request",
      run: () => {
        const garbage: EchoMethod = {
          ...echo.echo,
          input: { ...echo.echo.input, encode: () => Uint8Array.of(0x0a, 0xff) },
        };
        return onLink(under, {}, async ({ channel }) => {
          const code = under.unreadable ?? "invalid_argument";
          await failure(channel.unary(garbage, {}, outgoing()), code, "not-executed");
        });
      },
    },
    {
      name: "refuses an unknown method",
      run: async () => {
        const answers: Answers = { unary: () => ({}) };
        const other = { ...echo.echo, name: "micro.test.v1.EchoService/Other" };
        await onLink(under, answers, async ({ channel }) => {
          await failure(channel.unary(other, {}, outgoing()), "unimplemented", "not-executed");
          const stream = channel.stream({ ...echo.repeat, name: other.name }, [{}], outgoing());
          await failure(stream[Symbol.asyncIterator]().next(), "unimplemented", "not-executed");
          await channel.unary(echo.echo, {}, outgoing());
        });
        const unknownMethod = (name: string) =>
          new MicroError("unimplemented", `no ${name}`, { outcome: "not-executed" });
        await onLink(
          under,
          answers,
          async ({ channel }) => {
            const call = channel.unary(other, {}, outgoing());
            const error = await failure(call, "unimplemented", "not-executed");
            // A protocol may omit the package.
            assert.match(error.message, /^no (micro\.test\.v1\.)?EchoService\/Other$/);
          },
          { hooks: { unknownMethod } },
        );
      },
    },
    {
      name: "refuses a kind of call and a content type that a method does not support",
      run: () => {
        const odd: EchoMethod = {
          ...echo.echo,
          input: { ...echo.echo.input, contentType: "application/odd" },
        };
        return onLink(under, { unary: () => ({}) }, async ({ channel }) => {
          for (const method of [odd, echo.repeat]) {
            await failure(channel.unary(method, {}, outgoing()), "unimplemented", "not-executed");
          }
          const stream = channel.stream(echo.echo, [{}], outgoing());
          await failure(stream[Symbol.asyncIterator]().next(), "unimplemented", "not-executed");
          await channel.unary(echo.echo, {}, outgoing());
        });
      },
    },
    {
      name: "ends a call at its deadline, and cancels its handler",
      run: () => {
        const cancelled = gate<MicroError>();
        const arrived = gate<number>();
        let begun = outgoing();
        let lateMs = 0;
        return onLink(
          under,
          {
            unary: (request, call) => {
              if (request.text === "first") return request;
              arrived.open(call.remainingMs());
              lateMs = call.remainingMs() - remainingMs(begun.deadline);
              cancellation(call).then(cancelled.open);
              return new Promise(() => undefined);
            },
          },
          async ({ channel }) => {
            // The first call on a connection takes longest to arrive, so the two sides differ about
            // when its deadline passes.
            await channel.unary(echo.echo, { text: "first" }, outgoing());
            // Sending is measured from the beginning of a turn of the event loop.
            await new Promise((resolve) => setImmediate(resolve));
            begun = outgoing({ timeoutMs: 60 });
            await failure(channel.unary(echo.echo, {}, begun), "deadline_exceeded", "unknown");
            const { code } = await cancelled.promise;
            // Only a request that took long to arrive may be cancelled by the caller's deadline.
            if (lateMs < mostDeadlineSkewMs || code !== "canceled") {
              assert.equal(code, "deadline_exceeded");
            }
            const leftMs = await arrived.promise;
            assert.ok(leftMs > 0 && leftMs <= 61, `${leftMs} ms`);
          },
        );
      },
    },
    {
      name: "does not begin a call whose deadline has passed or whose signal has aborted",
      run: () =>
        onLink(under, {}, async ({ channel }) => {
          await failure(
            channel.unary(echo.echo, {}, outgoing({ timeoutMs: -1 })),
            "deadline_exceeded",
            "not-executed",
          );
          await failure(
            channel.unary(echo.echo, {}, outgoing({ signal: AbortSignal.abort() })),
            "canceled",
            "not-executed",
          );
        }),
    },
    {
      name: "cancels a call by its signal, on both sides",
      run: () => {
        const begun = gate();
        const cancelled = gate<MicroError>();
        return onLink(
          under,
          {
            unary: (_request, call) => {
              begun.open();
              cancellation(call).then(cancelled.open);
              return new Promise(() => undefined);
            },
          },
          async ({ channel }) => {
            const controller = new AbortController();
            const call = channel.unary(echo.echo, {}, outgoing({ signal: controller.signal }));
            await begun.promise;
            controller.abort();
            await failure(call, "canceled", "unknown");
            assert.equal((await cancelled.promise).code, "canceled");
          },
        );
      },
    },
    {
      name: "cancels a thousand calls by one signal, without a leak warning",
      run: () => {
        let running = 0;
        let cancelled = 0;
        const warnings: Error[] = [];
        const onWarning = (warning: Error) => warnings.push(warning);
        process.on("warning", onWarning);
        return onLink(
          under,
          {
            unary: (_request, call) => {
              running++;
              cancellation(call).then(() => cancelled++);
              return new Promise(() => undefined);
            },
          },
          async ({ channel }) => {
            const controller = new AbortController();
            const { signal } = controller;
            const calls = Array.from({ length: 1000 }, () =>
              failure(channel.unary(echo.echo, {}, outgoing({ signal })), "canceled", "unknown"),
            );
            await until(() => running === 1000);
            controller.abort();
            await Promise.all(calls);
            await until(() => cancelled === 1000);
            await new Promise((resolve) => setImmediate(resolve));
            assert.deepEqual(warnings, []);
          },
        ).finally(() => process.off("warning", onWarning));
      },
    },
    {
      name: "drops the response of a cancelled call, and stays usable",
      run: () => {
        const finish = gate();
        return onLink(
          under,
          { unary: (request) => finish.promise.then(() => answerText(request)) },
          async ({ channel }) => {
            const controller = new AbortController();
            const given = channel.unary(
              echo.echo,
              { text: "old" },
              outgoing({ signal: controller.signal }),
            );
            const kept = channel.unary(echo.echo, { text: "kept" }, outgoing());
            controller.abort();
            await failure(given, "canceled");
            const next = channel.unary(echo.echo, { text: "next" }, outgoing());
            finish.open();
            assert.equal((await kept).text, "kept");
            assert.equal((await next).text, "next");
          },
        );
      },
    },
    {
      name: "tells the handler the caller's address and protocol",
      run: () => {
        let peer: unknown;
        return onLink(
          under,
          {
            unary: (_request, call) => {
              peer = call.peer;
              assert.equal(call.method, echo.echo);
              return {};
            },
          },
          async ({ channel, transport }) => {
            await channel.unary(echo.echo, {}, outgoing());
            assert.equal((peer as { transport: string }).transport, transport.name);
            assert.notEqual((peer as { address: string }).address, "");
          },
        );
      },
    },
    ...[1, 100].map((loops) => ({
      name: `lets timers fire in ${loops === 1 ? "a loop" : `${loops} loops`} of awaited calls`,
      run: () =>
        onLink(under, { unary: () => ({}) }, async ({ channel }) => {
          let fired = false;
          setTimeout(() => {
            fired = true;
          }, 1);
          const loop = async () => {
            while (!fired) await channel.unary(echo.echo, {}, outgoing());
          };
          await Promise.all(Array.from({ length: loops }, loop));
        }),
    })),
    {
      name: "gives each of a thousand calls at once its own response, repeatedly",
      run: () =>
        onLink(under, { unary: ({ text }) => ({ text }) }, async ({ channel }) => {
          const texts = Array.from({ length: 1_000 }, (_, index) => `call ${index}`);
          for (let round = 0; round < 3; round++) {
            const calls = texts.map((text) => channel.unary(echo.echo, { text }, outgoing()));
            const answers = await Promise.all(calls);
            assert.deepEqual(
              answers.map(({ text }) => text),
              texts,
            );
          }
        }),
    },
  ];
}
