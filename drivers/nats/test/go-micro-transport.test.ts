import {
  type Answers,
  all,
  answering,
  failure,
  outgoing,
} from "@micro-es/contract/transport-fixture";
import { goMicroNatsRegistry, goMicroNatsTransport, NatsLink } from "@micro-es/nats";
import { MicroError } from "@micro-es/runtime";
import { echo } from "@micro-es/test-support/echo";
import { connect, createInbox, type NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type NatsServer, skipWithoutNats, startNats } from "./server.ts";

describe.skipIf(skipWithoutNats)("go-micro's transport on NATS", () => {
  let server: NatsServer;
  let link: NatsLink;
  let other: NatsConnection;
  beforeAll(async () => {
    server = await startNats({ jetstream: false });
    link = new NatsLink({ servers: server.url });
    other = await connect({ servers: server.url });
  });
  afterAll(async () => {
    await other?.close();
    await link?.close();
    await server?.close();
  });

  async function serve(answers: Answers, limits = {}) {
    const errors: MicroError[] = [];
    const transport = goMicroNatsTransport({ link, ...limits });
    const listener = await transport.listen("nats:0", answering(answers), {
      onConnectionError: (error) => errors.push(error),
    });
    const channel = await transport.dial(listener.address);
    onTestFinished(async () => {
      await channel.close();
      await listener.close();
    });
    return { listener, channel, errors };
  }

  const text: Answers = { unary: (request) => ({ text: request.text }) };

  /** Sends what a client of go-micro's sends, and gives what it would read. */
  async function ask(
    address: string,
    message: unknown,
  ): Promise<{ Header: Record<string, string>; Body: string }> {
    const inbox = createInbox();
    const answers = other.subscribe(inbox, { max: 1 });
    const data = typeof message === "string" ? message : JSON.stringify(message);
    other.publish(address.slice("nats:".length), data, { reply: inbox });
    for await (const answer of answers) return answer.json();
    throw new Error("no response came");
  }

  const header = {
    "Micro-Service": "echo",
    "Micro-Endpoint": "EchoService.Echo",
    "Micro-ID": "7",
    "Content-Type": "application/json",
  };

  test("accepts what go-micro sends, and returns its ids as spelled", async () => {
    const { listener } = await serve(text);
    const Body = Buffer.from('{"text":"a"}').toString("base64");
    const answer = await ask(listener.address, { Header: header, Body });
    expect(Buffer.from(answer.Body, "base64").toString()).toBe('{"text":"a"}');
    expect(answer.Header).toMatchObject({ "Micro-ID": "7", "Content-Type": "application/json" });
    const empty = await ask(listener.address, { Header: header, Body: null });
    expect(Buffer.from(empty.Body, "base64").toString()).toBe("{}");
  });

  test("carries calls, many at once, errors and streams of all kinds", async () => {
    const { channel } = await serve({
      unary: (request) => {
        if (request.fail !== "") throw new MicroError("not_found", "no", { outcome: "executed" });
        return { text: request.text };
      },
      async *stream(requests) {
        for await (const request of requests) yield { text: request.text };
      },
    });
    const wanted = Array.from({ length: 100 }, (_, index) => `${index}`);
    const answers = await Promise.all(
      wanted.map((it) => channel.unary(echo.echo, { text: it }, outgoing())),
    );
    expect(answers.map((it) => it.text)).toEqual(wanted);
    await failure(channel.unary(echo.echo, { fail: "yes" }, outgoing()), "not_found", "executed");
    for (const method of [echo.repeat, echo.collect, echo.chat]) {
      const said = await all(channel.stream(method, [{ text: "a" }], outgoing()));
      expect(said.map((it) => it.text)).toEqual(["a"]);
    }
  });

  test("fails at once, as not executed, at a subject without a listener", async () => {
    const channel = await goMicroNatsTransport({ link }).dial("nats:no.listener.here");
    onTestFinished(() => channel.close());
    await failure(channel.unary(echo.once, {}, outgoing()), "unavailable", "not-executed");
  });

  test("ends a call at its deadline on both sides", async () => {
    let reason: unknown;
    const { channel, listener } = await serve({
      unary: (_request, call) =>
        new Promise(() => {
          call.signal.addEventListener("abort", () => {
            reason = call.signal.reason.code;
          });
        }),
    });
    const call = channel.unary(echo.once, {}, outgoing({ timeoutMs: 100 }));
    await failure(call, "deadline_exceeded", "unknown");
    await expect.poll(() => reason).toBe("deadline_exceeded");
    expect(listener.openCalls).toBe(0);
  });

  test("refuses messages over the limits of either side, or of the server", async () => {
    const { channel } = await serve(
      { unary: () => ({ payload: new Uint8Array(900_000) }) },
      { maxMessageBytes: 1_000_000 },
    );
    const large = { payload: new Uint8Array(900_000) };
    await failure(
      channel.unary(echo.once, large, outgoing()),
      "resource_exhausted",
      "not-executed",
    );
    await failure(channel.unary(echo.once, {}, outgoing()), "resource_exhausted");
    const huge = { payload: new Uint8Array(1_000_001) };
    await failure(channel.unary(echo.once, huge, outgoing()), "resource_exhausted", "not-executed");
  });

  test.each<[what: string, message: unknown, code: number]>([
    ["bytes that are not JSON", "\x00\x01", 400],
    ["a list", [], 400],
    ["a header of another type", { Header: ["a"], Body: "" }, 400],
    ["a line of another type", { Header: { ...header, Timeout: 5 } }, 400],
    ["a body of another type", { Header: header, Body: 7 }, 400],
    ["a body over the limit", { Header: header, Body: "A".repeat(60_000) }, 429],
    [
      "an unknown endpoint",
      { Header: { ...header, "Micro-Endpoint": "A.B", "Micro-Method": "A.B" } },
      501,
    ],
    ["nothing", {}, 400],
  ])("responds to %s with an error, and stays usable", async (_what, message, code) => {
    const { listener } = await serve(text, { maxMessageBytes: 10_000 });
    const answer = await ask(listener.address, message);
    expect(JSON.parse(answer.Header["Micro-Error"] ?? "{}").code).toBe(code);
    const Body = Buffer.from('{"text":"on"}').toString("base64");
    const next = await ask(listener.address, { Header: header, Body });
    expect(Buffer.from(next.Body, "base64").toString()).toBe('{"text":"on"}');
  });

  test("registers its subjects in go-micro's registry without a scheme", async () => {
    await using registry = goMicroNatsRegistry({ link });
    const metadata = { transport: "nats", protocol: "mucp" };
    const node = {
      id: "a-1",
      service: "a",
      version: "1",
      address: "nats:_INBOX.x",
      metadata,
      endpoints: [],
    };
    const registration = await registry.register(node);
    onTestFinished(() => registration.close());
    const inbox = createInbox();
    const answers = other.subscribe(inbox, { max: 1 });
    const query = { Service: { name: "a" }, Action: "get" };
    other.publish("micro.nats.query", JSON.stringify(query), { reply: inbox });
    for await (const answer of answers) {
      expect(answer.json<{ nodes: object[] }>().nodes[0]).toMatchObject({ address: "_INBOX.x" });
    }
    expect((await registry.get("a"))[0]?.address).toBe("nats:_INBOX.x");
  });
});
