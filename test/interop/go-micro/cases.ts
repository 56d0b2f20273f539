import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { type Broker, type Code, MicroError } from "@micro-es/runtime";
import { EchoedTopic, type EchoServiceClient } from "../../gen/micro/test/v1/echo_micro.ts";
import type { GoMicroPeer, PeerReply } from "./peer.ts";

/** A fleet of one Go program and one TypeScript program. */
export interface Fleet {
  readonly protocol: "mucp" | "grpc";
  /** Whether connections can end, and the other side notices. */
  readonly onSockets: boolean;
  readonly peer: GoMicroPeer;
  /** Calls the Go program by its name. */
  readonly client: EchoServiceClient;
  readonly broker: Broker;
  /** The reasons why our handlers were cancelled. */
  readonly cancelled: readonly MicroError[];
  /** Texts of the events that we received. */
  readonly heard: readonly string[];
}

export interface InteropCase {
  readonly name: string;
  run(fleet: Fleet): Promise<void>;
}

/** The name of the service in TypeScript, and of the one in Go. */
export const ours = "echo-ts";
export const theirs = "echo-go";

const texts = ({ answers = [] }: PeerReply) => answers.map(({ text = "" }) => text);
const indexes = ({ answers = [] }: PeerReply) => answers.map(({ index = 0 }) => index);

/**
 * go-micro's error within the text of a Go error; a stream over gRPC embeds it in gRPC's own text.
 */
function errorOf({ error }: PeerReply): { code: number; detail: string; id: string } {
  assert.ok(error, "the call did not fail");
  return JSON.parse(error.text.slice(error.text.indexOf("{")));
}

function goCase(
  name: string,
  endpoint: string,
  command: object,
  check: (reply: PeerReply, fleet: Fleet) => Promise<void> | void,
): InteropCase {
  return {
    name: `Go calls TypeScript: ${name}`,
    run: async (fleet) => {
      const kind = "requests" in command ? "stream" : "unary";
      const reply = await fleet.peer.run({
        do: kind,
        service: ours,
        endpoint: `EchoService.${endpoint}`,
        ...command,
      });
      await check(reply, fleet);
    },
  };
}

/** Content types of one protocol, in go-micro's words. */
const contentTypes = ["application/json", "application/protobuf"] as const;

const goToTs: readonly InteropCase[] = [
  ...contentTypes.flatMap((contentType) => [
    goCase(
      `unary, ${contentType}`,
      "Echo",
      { contentType, request: { text: "Größe 三" } },
      (reply) => {
        assert.deepEqual(texts(reply), ["Größe 三"]);
      },
    ),
    goCase(`an empty message, ${contentType}`, "Echo", { contentType, request: {} }, (reply) => {
      assert.equal(reply.error, null);
      assert.equal(reply.answers?.length, 1);
    }),
    goCase(
      `a stream of responses, ${contentType}`,
      "Repeat",
      { contentType, requests: [{ text: "a", count: 5 }] },
      (reply) => {
        assert.deepEqual(texts(reply), ["a", "a", "a", "a", "a"]);
        // go-micro's client decodes each response of a stream into the requested message.
        assert.deepEqual(indexes(reply), [0, 1, 2, 3, 4]);
        assert.equal(reply.eof, true);
      },
    ),
  ]),
  goCase(
    "metadata",
    "Echo",
    { request: { text: "metadata:x-tenant" }, metadata: { "X-Tenant": "acme" } },
    (reply) => {
      assert.deepEqual(texts(reply), ["acme"]);
    },
  ),
  goCase("an error", "Echo", { request: { text: "a", fail: "not_found" } }, (reply) => {
    const { code, detail, id } = errorOf(reply);
    assert.deepEqual([code, detail, id], [404, "told to fail: a", "echo"]);
  }),
  goCase("an unknown method", "Nope", { request: {} }, (reply) => {
    assert.equal(errorOf(reply).code, 501);
  }),
  goCase("the deadline", "Echo", { request: { text: "deadline" }, timeoutMs: 4_000 }, (reply) => {
    const [left = 0] = indexes(reply);
    assert.ok(left > 0 && left <= 4_000, `the handler had ${left} ms`);
  }),
  goCase(
    "a timeout, which cancels the handler",
    "Once",
    { request: { delayMs: 60_000 }, timeoutMs: 300 },
    async (reply, { cancelled }) => {
      assert.equal(errorOf(reply).code, 408);
      const patience = performance.now() + 10_000;
      while (!cancelled.some(({ code }) => code === "deadline_exceeded" || code === "canceled")) {
        assert.ok(performance.now() < patience, "the handler was not cancelled");
        await sleep(10);
      }
    },
  ),
  goCase(
    "a stream that fails",
    "Repeat",
    { requests: [{ text: "a", count: 2, fail: "aborted" }] },
    (reply) => {
      assert.equal(reply.answers?.length, 2);
      assert.equal(errorOf(reply).code, 409);
    },
  ),
  goCase(
    "a conversation",
    "Chat",
    { requests: [{ text: "a" }, { text: "b" }, { text: "c" }], count: 3 },
    (reply) => assert.deepEqual(texts(reply), ["a", "b", "c"]),
  ),
  {
    name: "Go calls TypeScript: 50 calls at once",
    run: async ({ peer }) => {
      const replies = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          peer.run({
            do: "unary",
            service: ours,
            endpoint: "EchoService.Echo",
            request: { text: `${index}` },
          }),
        ),
      );
      assert.deepEqual(
        replies.flatMap(texts),
        Array.from({ length: 50 }, (_, index) => `${index}`),
      );
    },
  },
  {
    name: "Go calls TypeScript: many requests, one response",
    run: async ({ peer, protocol }) => {
      const reply = await peer.run({
        do: "stream",
        service: ours,
        endpoint: "EchoService.Collect",
        requests: [{ text: "a" }, { text: "b" }],
        closeSend: true,
      });
      // The mucp client cannot signal the end of its requests.
      if (protocol === "mucp") assert.equal(reply.error?.text, "streamer not implemented");
      else assert.deepEqual(texts(reply), ["a b"]);
    },
  },
];

async function failure(call: Promise<unknown>, code: Code): Promise<MicroError> {
  const error = await call.then(
    (answer) => assert.fail(`did not fail, but gave ${JSON.stringify(answer)}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof MicroError, `failed with ${String(error)}`);
  assert.equal(error.code, code, error.message);
  return error;
}

async function collect<T>(answers: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const answer of answers) all.push(answer);
  return all;
}

/**
 * The interval between two responses of a stream, because go-micro's server overwrites one that it
 * has not sent yet.
 */
const apartMs = 100;

const calls: readonly [name: string, run: (fleet: Fleet) => Promise<void>][] = [
  [
    "unary",
    async ({ client }) => {
      const { text, server } = await client.echo({ text: "Größe 三" });
      assert.deepEqual([text, server], ["Größe 三", theirs]);
    },
  ],
  ["an empty message", async ({ client }) => assert.equal((await client.echo({})).text, "")],
  [
    "200 calls one after another, none lost",
    async ({ client }) => {
      for (let index = 0; index < 200; index++) {
        assert.equal((await client.echo({ text: `${index}` })).text, `${index}`);
      }
    },
  ],
  [
    "50 calls at once",
    async ({ client }) => {
      const wanted = Array.from({ length: 50 }, (_, index) => `${index}`);
      const answers = await Promise.all(wanted.map((text) => client.echo({ text })));
      assert.deepEqual(
        answers.map(({ text }) => text),
        wanted,
      );
    },
  ],
  [
    "metadata",
    async ({ client }) => {
      const metadata = { "x-tenant": "acme" };
      assert.equal((await client.echo({ text: "metadata:x-tenant" }, { metadata })).text, "acme");
    },
  ],
  [
    "a go-micro error",
    async ({ client }) => {
      const error = await failure(client.once({ text: "a", fail: "not_found" }), "not_found");
      assert.match(error.message, /told to fail: a$/);
    },
  ],
  [
    "an error that is not from go-micro",
    async ({ client }) => {
      const error = await failure(client.once({ text: "a", fail: "plain" }), "unknown");
      assert.match(error.message, /plain: a/);
    },
  ],
  [
    "the deadline",
    async ({ client }) => {
      const { index } = await client.echo({ text: "deadline" }, { timeoutMs: 4_000 });
      assert.ok(index > 0 && index <= 4_000, `the handler had ${index} ms`);
    },
  ],
  [
    "a timeout",
    async ({ client }) => {
      await failure(client.once({ delayMs: 5_000 }, { timeoutMs: 300 }), "deadline_exceeded");
    },
  ],
  [
    "a stream of responses",
    async ({ client }) => {
      const answers = await collect(client.repeat({ text: "a", count: 5, delayMs: apartMs }));
      assert.deepEqual(
        answers.map(({ text, index }) => `${text}${index}`),
        ["a0", "a1", "a2", "a3", "a4"],
      );
    },
  ],
  [
    "a stream that fails",
    async ({ client }) => {
      await failure(collect(client.repeat({ text: "a", fail: "unavailable" })), "unavailable");
    },
  ],
  [
    "many requests, one response",
    async ({ client }) => {
      const { text, index } = await client.collect([{ text: "a" }, { text: "b" }]);
      assert.deepEqual([text, index], ["a b", 2]);
    },
  ],
  [
    "a conversation",
    async ({ client, onSockets }) => {
      const requests = ["a", "b", "c"].map((text) => ({ text, delayMs: apartMs }));
      const texts: string[] = [];
      for await (const { text } of client.chat(requests)) {
        texts.push(text);
        // On NATS a go-micro server does not signal the end of a stream.
        if (!onSockets && texts.length === requests.length) break;
      }
      assert.deepEqual(texts, ["a", "b", "c"]);
    },
  ],
  [
    "a stream that is left",
    async ({ client }) => {
      for await (const { index } of client.repeat({ count: 1_000, delayMs: apartMs })) {
        if (index === 2) break;
      }
      assert.equal((await client.echo({ text: "on" })).text, "on");
    },
  ],
];

const tsToGo = calls.map(
  ([name, run]): InteropCase => ({ name: `TypeScript calls Go: ${name}`, run }),
);

async function until(condition: () => boolean, what: string): Promise<void> {
  const patience = performance.now() + 15_000;
  while (!condition()) {
    assert.ok(performance.now() < patience, what);
    await sleep(20);
  }
}

const events: readonly InteropCase[] = [
  ...contentTypes.map(
    (contentType): InteropCase => ({
      name: `an event from Go, ${contentType}`,
      run: async ({ peer, heard }) => {
        const text = `from Go in ${contentType}`;
        const message = { text, number: 7 };
        const reply = await peer.run({
          do: "publish",
          topic: EchoedTopic.name,
          message,
          contentType,
        });
        assert.equal(reply.error, null);
        await until(() => heard.includes(text), "the event was not heard");
      },
    }),
  ),
  {
    name: "an event from TypeScript",
    run: async ({ peer, broker }) => {
      await EchoedTopic.publish(broker, { text: "from TypeScript", number: 7 });
      const came = () => peer.events.find(({ message }) => message.text === "from TypeScript");
      await until(() => came() !== undefined, "the event was not heard");
      assert.equal(came()?.message.number, 7);
    },
  },
];

export const interopCases: readonly InteropCase[] = [...goToTs, ...tsToGo, ...events];
