import assert from "node:assert/strict";
import { Metadata, MicroError } from "@micro-es/runtime";
import type { EndWatcher, WatchedIterator } from "@micro-es/runtime/driver";
import { type EchoRequestInit, type EchoResponseInit, echo } from "../support/echo.ts";
import type { ContractCase } from "./contract.ts";
import {
  type Answers,
  all,
  cancellation,
  failure,
  gate,
  mostAhead,
  onLink,
  outgoing,
  settled,
  type TransportUnderTest,
  until,
} from "./transport-fixture.ts";

/** Responds to each request as it arrives. */
const chat: Answers = {
  async *stream(requests) {
    for await (const request of requests) yield { text: request.text, payload: request.payload };
  },
};

/** Yields one response and then nothing until the call is cancelled. */
const silentAfterOne: Answers = {
  async *stream(_requests, call) {
    yield { text: "the only one" };
    await cancellation(call);
  },
};

/** Observes the end of a stream as the client does. */
class ObservedEnd implements EndWatcher {
  hasEnded = false;
  error: MicroError | undefined;

  watch(stream: AsyncIterator<unknown>): void {
    assert.ok("watchEnd" in stream, "the stream does not report its end");
    (stream as WatchedIterator<unknown>).watchEnd(this);
  }

  ended(): void {
    this.hasEnded = true;
  }

  failed(reason: Error): void {
    assert.ok(reason instanceof MicroError);
    this.error = reason;
  }

  async rejection(reason: Error): Promise<never> {
    throw reason;
  }
}

/** Counts the messages taken from it, and records whether it was left. */
class Endless implements AsyncIterable<{ text: string; payload: Uint8Array }> {
  taken = 0;
  left = false;
  readonly #payload: Uint8Array;

  constructor(bytes: number) {
    this.#payload = new Uint8Array(bytes);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<{ text: string; payload: Uint8Array }> {
    try {
      for (;;) yield { text: `${this.taken++}`, payload: this.#payload };
    } finally {
      this.left = true;
    }
  }
}

/** The behaviour of every transport for streaming calls. */
export function streamContract(under: TransportUnderTest): readonly ContractCase[] {
  return [
    {
      name: "carries a stream of responses to one request, in order, metadata first and trailers last",
      run: () =>
        onLink(
          under,
          {
            async *stream(requests, call) {
              call.responseMetadata.set("x-served-by", call.requestMetadata.get("x-tenant") ?? "");
              for await (const { count } of requests) {
                for (let index = 0; index < count; index++) yield { index };
              }
              call.trailers.set("x-cost", "7");
            },
          },
          async ({ channel }) => {
            const call = outgoing({ metadata: new Metadata({ "x-tenant": "t" }) });
            const indexes: number[] = [];
            for await (const answer of channel.stream(echo.repeat, [{ count: 5000 }], call)) {
              assert.equal(call.responseMetadata?.get("x-served-by"), "t");
              indexes.push(answer.index);
            }
            assert.deepEqual(
              indexes,
              Array.from({ length: 5000 }, (_, index) => index),
            );
            assert.equal(call.trailers?.get("x-cost"), "7");
          },
        ),
    },
    {
      name: "carries many requests to one response, from any iterable",
      run: () =>
        onLink(
          under,
          {
            async *stream(requests) {
              yield { text: (await all(requests)).map((request) => request.text).join(" ") };
            },
          },
          async ({ channel }) => {
            const words = ["a", "b", "c"].map((text) => ({ text }));
            const later = (async function* () {
              for (const word of words) {
                await new Promise((resolve) => setImmediate(resolve));
                yield word;
              }
            })();
            for (const requests of [words, new Set(words), later]) {
              const answers = await all(channel.stream(echo.collect, requests, outgoing()));
              assert.deepEqual(
                answers.map((answer) => answer.text),
                ["a b c"],
              );
            }
          },
        ),
    },
    {
      name: "carries empty streams and empty messages",
      run: () =>
        onLink(under, chat, async ({ channel }) => {
          assert.deepEqual(await all(channel.stream(echo.chat, [], outgoing())), []);
          const answers = await all(channel.stream(echo.chat, [{}, {}, {}], outgoing()));
          assert.equal(answers.length, 3);
        }),
    },
    {
      name: "ends a stream at its deadline when its caller has stopped reading",
      run: () =>
        onLink(under, silentAfterOne, async ({ channel }) => {
          for (const method of [echo.repeat, echo.chat]) {
            const end = new ObservedEnd();
            const call = outgoing({ timeoutMs: 200 });
            const stream = channel.stream(method, [{}], call)[Symbol.asyncIterator]();
            assert.equal((await stream.next()).done, false);
            end.watch(stream);
            await until(() => channel.openCalls === 0);
            await until(() => end.error?.code === "deadline_exceeded");
            await failure(stream.next(), "deadline_exceeded");
            assert.equal((await stream.next()).done, true);
          }
        }),
    },
    {
      name: "ends a stream when it is cancelled and its caller has stopped reading",
      run: () =>
        onLink(under, silentAfterOne, async ({ channel }) => {
          const controller = new AbortController();
          const end = new ObservedEnd();
          const call = outgoing({ signal: controller.signal });
          const stream = channel.stream(echo.chat, [{}], call)[Symbol.asyncIterator]();
          await stream.next();
          end.watch(stream);
          controller.abort();
          await until(() => channel.openCalls === 0);
          await until(() => end.error?.code === "canceled");
          await failure(stream.next(), "canceled");
        }),
    },
    {
      name: "reports the end of a stream to its watcher when it happens, not when it is read",
      run: () =>
        onLink(
          under,
          {
            async *stream(_requests, call) {
              yield { text: "the only one" };
              if (call.method.name === echo.chat.name) throw new MicroError("aborted", "no more");
            },
          },
          async ({ channel }) => {
            const good = channel.stream(echo.repeat, [{}], outgoing())[Symbol.asyncIterator]();
            await good.next();
            const end = new ObservedEnd();
            end.watch(good);
            await until(() => end.hasEnded && channel.openCalls === 0);
            assert.equal((await good.next()).done, true);
            const bad = channel.stream(echo.chat, [], outgoing())[Symbol.asyncIterator]();
            await bad.next();
            const failed = new ObservedEnd();
            failed.watch(bad);
            await until(() => failed.error?.code === "aborted" && channel.openCalls === 0);
            await failure(bad.next(), "aborted");
          },
        ),
    },
    {
      name: "carries a conversation",
      run: () =>
        onLink(under, chat, async ({ channel }) => {
          let say: (text: string | undefined) => void = () => undefined;
          const requests = (async function* () {
            for (;;) {
              const text = await new Promise<string | undefined>((resolve) => {
                say = resolve;
              });
              if (text === undefined) return;
              yield { text };
            }
          })();
          const answers = channel.stream(echo.chat, requests, outgoing())[Symbol.asyncIterator]();
          for (let turn = 0; turn < 100; turn++) {
            const answer = answers.next();
            await new Promise((resolve) => setImmediate(resolve));
            say(`${turn}`);
            assert.equal((await answer).value?.text, `${turn}`);
          }
          say(undefined);
          assert.equal((await answers.next()).done, true);
        }),
    },
    {
      name: "keeps fifty interleaved streams apart",
      run: () =>
        onLink(under, chat, async ({ channel }) => {
          const streams = Array.from({ length: 50 }, async (_, stream) => {
            const texts = Array.from({ length: 100 }, (_, index) => `${stream}/${index}`);
            const requests = texts.map((text) => ({ text }));
            const answers = await all(channel.stream(echo.chat, requests, outgoing()));
            assert.deepEqual(
              answers.map((answer) => answer.text),
              texts,
            );
          });
          await Promise.all(streams);
        }),
    },
    {
      name: "begins a stream only when it is read",
      run: () => {
        let begun = 0;
        return onLink(
          under,
          {
            async *stream() {
              begun++;
              yield {};
            },
          },
          async ({ channel }) => {
            const requests = new Endless(1);
            const stream = channel.stream(echo.chat, requests, outgoing());
            await channel.unary(echo.echo, {}, outgoing()).catch(() => undefined);
            assert.equal(begun, 0);
            assert.equal(requests.taken, 0);
            assert.equal(channel.openCalls, 0);
            await all(stream);
            assert.equal(begun, 1);
          },
        );
      },
    },
    {
      name: "pauses a handler that writes faster than its caller reads, and resumes it",
      run: () => {
        const answers = new Endless(1000);
        return onLink(
          under,
          { stream: () => answers },
          async ({ channel }) => {
            const reader = channel.stream(echo.repeat, [{}], outgoing())[Symbol.asyncIterator]();
            await reader.next();
            const held = await settled(() => answers.taken);
            const most = mostAhead(under, 65_536, 1000);
            assert.ok(held <= most, `${held} responses were taken from an unread iterator`);
            for (let read = 0; read < 3 * most; read++) {
              assert.equal((await reader.next()).value?.text, `${read + 1}`);
            }
            assert.ok(answers.taken >= 3 * most);
            await reader.return?.();
            await until(() => answers.left);
          },
          { limits: { streamWindowBytes: 65_536 } },
        );
      },
    },
    {
      name: "pauses a caller that writes faster than its handler reads, also with empty messages",
      run: () => {
        const readOn = gate();
        const most = mostAhead(under, 16_384, 0);
        let read = 0;
        return onLink(
          under,
          {
            async *stream(requests) {
              for await (const _ of requests) {
                if (++read === 1) await readOn.promise;
                if (read === most + 500) break;
              }
              yield {};
            },
          },
          async ({ channel }) => {
            const requests = new Endless(0);
            const answer = all(
              channel.stream(echo.collect, requests, outgoing({ timeoutMs: 60_000 })),
            );
            const held = await settled(() => requests.taken);
            assert.ok(held <= most, `${held} unread requests were taken`);
            readOn.open();
            await answer;
            assert.equal(read, most + 500);
            await until(() => requests.left);
          },
          { limits: { streamWindowBytes: 16_384 } },
        );
      },
    },
    {
      name: "pauses a conversation whose caller does not read, on both sides",
      run: () => {
        const most = mostAhead(under, 65_536, 1000);
        let answered = 0;
        return onLink(
          under,
          {
            async *stream(requests) {
              for await (const { text, payload } of requests) {
                answered++;
                yield { text, payload };
              }
            },
          },
          async ({ channel }) => {
            const requests = new Endless(1000);
            const reader = channel.stream(echo.chat, requests, outgoing())[Symbol.asyncIterator]();
            await reader.next();
            await settled(() => requests.taken + answered);
            assert.ok(answered <= most, `${answered} unread responses were made`);
            const unread = requests.taken - answered;
            assert.ok(unread <= most, `${unread} unread requests were taken`);
            for (let read = 0; read < 3 * most; read++) {
              assert.equal((await reader.next()).value?.text, `${read + 1}`);
            }
            await reader.return?.();
            await until(() => requests.left);
          },
          { limits: { streamWindowBytes: 65_536 } },
        );
      },
    },
    {
      name: "is not delayed by an unread stream",
      run: () => {
        const answers = new Endless(1000);
        return onLink(
          under,
          { stream: () => answers, unary: () => ({ text: "other" }) },
          async ({ channel }) => {
            const reader = channel.stream(echo.repeat, [{}], outgoing())[Symbol.asyncIterator]();
            await reader.next();
            await settled(() => answers.taken);
            assert.equal((await channel.unary(echo.echo, {}, outgoing())).text, "other");
            await reader.return?.();
          },
        );
      },
    },
    {
      name: "carries messages larger than the window, and ends a call at one over the limit",
      run: () => {
        const large = new Uint8Array(200_000).fill(7);
        return onLink(
          under,
          {
            async *stream(requests) {
              for await (const request of requests) {
                if (request.text === "too much") yield { payload: new Uint8Array(400_000) };
                yield { payload: request.payload };
              }
            },
          },
          async ({ channel }) => {
            const requests = [large, large, large].map((payload) => ({ payload }));
            const answers = await all(channel.stream(echo.chat, requests, outgoing()));
            assert.deepEqual(
              answers.map((answer) => answer.payload),
              [large, large, large],
            );
            const tooLarge = [{}, { payload: new Uint8Array(400_000) }];
            await failure(
              all(channel.stream(echo.chat, tooLarge, outgoing())),
              "resource_exhausted",
            );
            await failure(
              all(channel.stream(echo.chat, [{ text: "too much" }], outgoing())),
              "resource_exhausted",
            );
            assert.equal((await all(channel.stream(echo.chat, requests, outgoing()))).length, 3);
          },
          { limits: { maxMessageBytes: 300_000, streamWindowBytes: 65_536 } },
        );
      },
    },
    {
      name: "tells a handler that the requests have ended, and still delivers its responses",
      run: () =>
        onLink(
          under,
          {
            async *stream(requests) {
              yield { text: `${(await all(requests)).length}` };
              for (let index = 0; index < 3; index++) {
                await new Promise((resolve) => setImmediate(resolve));
                yield { index };
              }
            },
          },
          async ({ channel }) => {
            const answers = await all(channel.stream(echo.chat, [{}, {}], outgoing()));
            assert.equal(answers[0]?.text, "2");
            assert.equal(answers.length, 4);
          },
        ),
    },
    {
      name: "stops the requests when the handler ends before them",
      run: () =>
        onLink(
          under,
          {
            async *stream() {
              yield { text: "enough" };
            },
          },
          async ({ channel }) => {
            const endless = new Endless(10);
            const silent = silence();
            const both: (AsyncIterable<EchoRequestInit> & { readonly left: boolean })[] = [
              endless,
              silent,
            ];
            for (const requests of both) {
              const answers = await all(channel.stream(echo.chat, requests, outgoing()));
              assert.deepEqual(
                answers.map((answer) => answer.text),
                ["enough"],
              );
              await until(() => requests.left);
            }
          },
        ),
    },
    {
      name: "cancels a stream that its reader leaves: the handler's signal aborts, its responses stop, its requests throw",
      run: () => {
        const answers = new Endless(10);
        const cancelled = gate<MicroError>();
        const requestsFailed = gate<unknown>();
        return onLink(
          under,
          {
            stream(requests, call) {
              cancellation(call).then(cancelled.open);
              all(requests).catch(requestsFailed.open);
              return answers;
            },
          },
          async ({ channel }) => {
            const requests = silence();
            for await (const _ of channel.stream(echo.chat, requests, outgoing())) break;
            assert.equal((await cancelled.promise).code, "canceled");
            await until(() => answers.left && requests.left);
            const reason = await requestsFailed.promise;
            assert.ok(reason instanceof MicroError && reason.code === "canceled");
          },
        );
      },
    },
    {
      name: "cancels a stream by its signal and at its deadline",
      run: () => {
        const reasons: string[] = [];
        return onLink(
          under,
          {
            async *stream(_requests, call) {
              cancellation(call).then((reason) => reasons.push(reason.code));
              yield {};
              await new Promise(() => undefined);
            },
          },
          async ({ channel }) => {
            const controller = new AbortController();
            const signalled = channel
              .stream(echo.chat, silence(), outgoing({ signal: controller.signal }))
              [Symbol.asyncIterator]();
            await signalled.next();
            const waiting = signalled.next();
            controller.abort();
            await failure(waiting, "canceled", "unknown");
            assert.equal((await signalled.next()).done, true);
            const late = all(channel.stream(echo.chat, silence(), outgoing({ timeoutMs: 60 })));
            await failure(late, "deadline_exceeded", "unknown");
            await until(() => reasons.length === 2);
            assert.deepEqual(reasons, ["canceled", "deadline_exceeded"]);
          },
        );
      },
    },
    {
      name: "fails with the error of its requests, and cancels the handler",
      run: () => {
        const reasons: string[] = [];
        return onLink(
          under,
          {
            async *stream(requests, call) {
              cancellation(call).then((reason) => reasons.push(reason.code));
              for await (const _ of requests) yield {};
            },
          },
          async ({ channel }) => {
            const mine = new MicroError("data_loss", "mine");
            const requests = (async function* () {
              yield {};
              throw mine;
            })();
            const error = await failure(
              all(channel.stream(echo.chat, requests, outgoing())),
              "data_loss",
            );
            assert.equal(error, mine);
            const other = new RangeError("other");
            const failing = {
              [Symbol.iterator](): Iterator<EchoRequestInit> {
                throw other;
              },
            };
            const wrapped = await failure(
              all(channel.stream(echo.chat, failing, outgoing())),
              "unknown",
            );
            assert.equal(wrapped.cause, other);
            await until(() => reasons.length === 2);
          },
        );
      },
    },
    {
      name: "carries a handler's error after its responses, with trailers",
      run: () =>
        onLink(
          under,
          {
            async *stream(_requests, call) {
              call.responseMetadata.set("x-served-by", "a");
              yield { index: 0 };
              yield { index: 1 };
              call.trailers.set("x-cost", "7");
              throw new MicroError("aborted", "enough", { outcome: "executed", retryAfterMs: 5 });
            },
          },
          async ({ channel }) => {
            const call = outgoing();
            let answers = 0;
            const reading = (async () => {
              for await (const _ of channel.stream(echo.repeat, [{}], call)) answers++;
            })();
            const error = await failure(reading, "aborted", "executed");
            assert.equal(answers, 2);
            assert.equal(error.retryAfterMs, 5);
            assert.equal(call.responseMetadata?.get("x-served-by"), "a");
            assert.equal(call.trailers?.get("x-cost"), "7");
          },
        ),
    },
    {
      name: "reveals nothing of other values that a streaming handler throws, at any point",
      run: () =>
        onLink(
          under,
          {
            stream(requests, call) {
              const where = call.requestMetadata.get("where");
              if (where === "at once") throw new Error("secret");
              return (async function* () {
                if (where === "before") throw null;
                yield {};
                await all(requests);
                throw new Error("secret");
              })();
            },
          },
          async ({ channel }) => {
            for (const where of ["at once", "before", "after"]) {
              const metadata = new Metadata({ where });
              const error = await failure(
                all(channel.stream(echo.chat, [{}], outgoing({ metadata }))),
                "internal",
                "executed",
              );
              assert.doesNotMatch(error.message, /secret/);
            }
          },
        ),
    },
    {
      name: "fails a stream whose handler yields an invalid response, and leaves the handler",
      run: () => {
        let left = false;
        return onLink(
          under,
          {
            async *stream() {
              try {
                yield { index: "one" } as unknown as EchoResponseInit;
              } finally {
                left = true;
              }
            },
          },
          async ({ channel }) => {
            const call = all(channel.stream(echo.repeat, [{}], outgoing()));
            await failure(call, "internal", "executed");
            await until(() => left);
          },
        );
      },
    },
    {
      name: "does not begin a stream whose deadline has passed or whose signal has aborted",
      run: () =>
        onLink(under, {}, async ({ channel }) => {
          const requests = new Endless(1);
          const late = channel.stream(echo.chat, requests, outgoing({ timeoutMs: -1 }));
          await failure(all(late), "deadline_exceeded", "not-executed");
          const signal = AbortSignal.abort();
          const aborted = channel.stream(echo.chat, requests, outgoing({ signal }));
          await failure(all(aborted), "canceled", "not-executed");
          assert.equal(requests.taken, 0);
        }),
    },
  ];
}

/** Requests that never arrive. */
function silence(): AsyncIterable<EchoRequestInit> & { readonly left: boolean } {
  let left = false;
  return {
    get left() {
      return left;
    },
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => undefined),
      return: async () => {
        left = true;
        return { done: true, value: undefined };
      },
    }),
  };
}
