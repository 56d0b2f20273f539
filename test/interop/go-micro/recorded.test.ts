import { readFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { goMicroTransport, type MicroError, tcpTransport } from "@micro-es/runtime";
import type { Channel } from "@micro-es/runtime/driver";
import { afterEach, describe, expect, test } from "vitest";
import { MessageReader, type ReadMessage } from "../../../runtime/src/go-micro/message-reader.ts";
import { buildServer } from "../../../runtime/src/server/rpc-server.ts";
import { all, outgoing } from "../../contract/transport-fixture.ts";
import { echo } from "../../support/echo.ts";
import { registerEcho } from "../../support/server.ts";

/*
 * Wire traffic recorded between a go-micro program (its commit 77fc793d, just after v6.10.0) and
 * ours: run.ts needs such a program, this only its bytes. `fromGo` holds what its client sent and
 * what it made of our responses; `toGo` holds what its server responded to our client. Bytes are
 * Latin-1 characters.
 */

interface FromGo {
  readonly name: string;
  readonly bytes: string;
  readonly answers: readonly object[];
  readonly error: string | null;
}

interface ToGo {
  readonly name: string;
  readonly bytes: string;
}

const recorded: { fromGo: FromGo[]; toGo: ToGo[] } = JSON.parse(
  readFileSync(new URL("recorded.json", import.meta.url), "utf8"),
);

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** One of our servers with a connection to it, and the messages that it returns. */
async function serve(): Promise<{ socket: Socket; messages: ReadMessage[] }> {
  const listen = [{ transport: tcpTransport(), address: "127.0.0.1:0" }];
  const server = buildServer({ name: "echo", listen });
  registerEcho(server);
  await server.start();
  open.push(() => server.close());
  const socket = connect(Number(server.addresses[0]?.split(":").pop()), "127.0.0.1");
  open.push(() => socket.destroy());
  const messages: ReadMessage[] = [];
  const reader = new MessageReader({ maxBodyBytes: 1_000_000 });
  socket.on("data", (chunk) => messages.push(...reader.read(chunk)));
  return { socket, messages };
}

const isProtobuf = ({ bytes }: FromGo) => bytes.includes("application/protobuf");
const json = ({ body }: ReadMessage) => JSON.parse(Buffer.from(body).toString());

describe("responds to a go-micro client:", () => {
  test.each(recorded.fromGo.filter((it) => !isProtobuf(it)))(
    "$name",
    async ({ bytes, answers, error }) => {
      const { socket, messages } = await serve();
      // A response to its last message, before it disconnects, may be lost.
      const end = bytes.lastIndexOf("POST / ");
      const leaves = bytes.indexOf("Micro-Error: EOS", end) > 0;
      socket.write(Buffer.from(leaves ? bytes.slice(0, end) : bytes, "latin1"));
      const wanted = answers.length + (error === null ? 0 : 1);
      await expect.poll(() => messages.length).toBeGreaterThanOrEqual(wanted);
      expect(messages.slice(0, answers.length).map(json)).toEqual(answers);
      if (error !== null) {
        const said = messages[answers.length]?.header.get("micro-error");
        expect(JSON.parse(said ?? "")).toEqual(JSON.parse(error));
      }
    },
  );

  test.each(recorded.fromGo.filter(isProtobuf))("$name", async ({ bytes }) => {
    const { socket, messages } = await serve();
    socket.write(Buffer.from(bytes, "latin1"));
    await expect.poll(() => messages.length).toBe(1);
    const { text } = echo.echo.output.decode(messages[0]!.body);
    expect(text).toBe(bytes.includes("chunked") ? "" : "Größe");
  });
});

/**
 * Responds to each connection with the same bytes once its requests have arrived; then closes if
 * requested.
 */
async function replay(bytes: string): Promise<string> {
  const server: Server = createServer((socket) => {
    const reader = new MessageReader({ maxBodyBytes: 1_000_000 });
    let answered = false;
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      for (const { header } of reader.read(chunk)) {
        const last = header.get("connection") === "close";
        if (answered || (header.has("micro-stream") && !last)) continue;
        answered = true;
        socket.write(Buffer.from(bytes, "latin1"));
        if (last) socket.end();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => server.close());
  const address = server.address();
  return `127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
}

const calls: Record<string, (channel: Channel) => Promise<unknown>> = {
  unary: async (channel) => (await channel.unary(echo.echo, { text: "Größe" }, outgoing())).text,
  error: (channel) => channel.unary(echo.echo, { text: "a", fail: "not_found" }, outgoing()),
  plain: (channel) => channel.unary(echo.echo, { text: "a", fail: "plain" }, outgoing()),
  unknown: (channel) =>
    channel.unary({ ...echo.echo, name: "micro.test.v1.EchoService/Nope" }, {}, outgoing()),
  repeat: async (channel) =>
    texts(channel.stream(echo.repeat, [{ text: "a", count: 3 }], outgoing())),
  collect: async (channel) =>
    texts(channel.stream(echo.collect, [{ text: "a" }, { text: "b" }], outgoing())),
  chat: async (channel) =>
    texts(channel.stream(echo.chat, [{ text: "a" }, { text: "b" }], outgoing())),
};

async function texts(answers: AsyncIterable<{ text: string }>): Promise<string[]> {
  return (await all(answers)).map(({ text }) => text);
}

const expected: Record<string, unknown> = {
  unary: "Größe",
  error: { code: "not_found", message: "told to fail: a", outcome: "unknown" },
  plain: { code: "unknown", message: "plain: a", outcome: "unknown" },
  unknown: {
    code: "unimplemented",
    message: "rpc: can't find method Nope",
    outcome: "not-executed",
  },
  repeat: ["a", "a", "a"],
  collect: ["a b"],
  chat: ["a", "b"],
};

describe("understands a go-micro server:", () => {
  test.each(recorded.toGo)("$name", async ({ name, bytes }) => {
    const address = await replay(bytes);
    const channel = await goMicroTransport({ encoding: "json" }).dial(address);
    open.push(() => channel.close());
    const result = await calls[name]!(channel).catch(({ code, message, outcome }: MicroError) => {
      return { code, message, outcome };
    });
    expect(result).toEqual(expected[name]);
  });
});
