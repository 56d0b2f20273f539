import { createServer, type Server as NetServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import {
  type GuardedServer,
  methods,
  startGuardedServer,
} from "../../../../test/auth/guarded-server.ts";
import { failure, outgoing, until } from "../../../../test/contract/transport-fixture.ts";
import {
  type Frame,
  frame,
  fromHex,
  greeting,
  methodFrame,
  RawPeer,
  toHex,
  wireVectors,
} from "../../../../test/support/wire.ts";
import { Metadata } from "../../base/metadata.ts";
import type { Credential } from "../../call/account.ts";
import { tcpTransport } from "../tcp/transport.ts";
import type { Channel, OutgoingCall } from "../transport.ts";
import { flag, frameType } from "./protocol.ts";

const open: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function guardedServer(): Promise<GuardedServer> {
  const guarded = await startGuardedServer(tcpTransport(), "127.0.0.1:0");
  open.push(() => guarded[Symbol.asyncDispose]());
  return guarded;
}

async function dial(address: string): Promise<Channel> {
  const channel = await tcpTransport().dial(address);
  open.push(() => channel.close());
  return channel;
}

const bearer = (token: string): Credential => ({ scheme: "bearer", token });
const presenting = (credential: Credential): OutgoingCall => ({ ...outgoing(), credential });
const hello = { text: "hi" };

/** Passes bytes on to a server, and keeps those of the client. */
async function observing(target: string): Promise<{ address: string; sent: () => string }> {
  const [host, port] = target.split(":");
  let bytes = "";
  const proxy: NetServer = createServer((socket) => {
    void RawPeer.connect(`${host}:${port}`).then((server) => {
      open.push(() => server.close());
      server.socket.removeAllListeners("data");
      server.socket.pipe(socket);
      socket.on("data", (chunk) => {
        bytes += chunk.toString("latin1");
        server.send(chunk);
      });
      socket.on("error", () => server.close());
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  open.push(() => new Promise((resolve) => proxy.close(resolve)));
  const { port: own } = proxy.address() as { port: number };
  return { address: `127.0.0.1:${own}`, sent: () => bytes };
}

test("a credential is sent once and verified once, however many calls present it", async () => {
  const guarded = await guardedServer();
  const { address, sent } = await observing(guarded.listener.address);
  const channel = await dial(address);
  const token = guarded.auth.issue("echo.write");
  const credential = bearer(token);
  for (let i = 0; i < 20; i++) {
    await channel.unary(methods.scoped, hello, presenting(credential));
  }
  expect(guarded.handled).toHaveLength(20);
  expect(sent().split(token)).toHaveLength(2);
  expect(guarded.auth.inspected).toBe(1);
});

test("calls wait for their own credential only", async () => {
  const guarded = await guardedServer();
  const channel = await dial(guarded.listener.address);
  const first = bearer(guarded.auth.issue());
  const second = bearer(guarded.auth.issue());
  await channel.unary(methods.any, hello, presenting(first));
  const release = guarded.auth.hold();
  const waiting = channel.unary(methods.any, hello, presenting(second));
  await channel.unary(methods.any, hello, presenting(first));
  await channel.unary(methods.open, hello, outgoing());
  expect(guarded.handled).toHaveLength(3);
  release();
  await waiting;
  expect(guarded.handled.map(([, id]) => id)).toEqual(["user-1", "user-1", undefined, "user-2"]);
});

test("more credentials than a server remembers take turns", async () => {
  const guarded = await guardedServer();
  const channel = await dial(guarded.listener.address);
  const credentials = Array.from({ length: 100 }, () => bearer(guarded.auth.issue()));
  for (const credential of [...credentials, ...credentials]) {
    await channel.unary(methods.any, hello, presenting(credential));
  }
  const ids = credentials.map((_, index) => `user-${index + 1}`);
  expect(guarded.handled.map(([, id]) => id)).toEqual([...ids, ...ids]);
});

test("a revoked credential ends at once, and another one takes its place", async () => {
  const guarded = await guardedServer();
  const channel = await dial(guarded.listener.address);
  const token = guarded.auth.issue();
  const credential = bearer(token);
  await channel.unary(methods.any, hello, presenting(credential));
  const stream = channel.stream(methods.watch, [hello], presenting(credential));
  const events = stream[Symbol.asyncIterator]();
  await events.next();
  await guarded.auth.revokeToken(token);
  await failure(events.next(), "unauthenticated", "unknown");
  const refused = channel.unary(methods.any, hello, presenting(credential));
  await failure(refused, "unauthenticated", "not-executed");
  const renewed = presenting(bearer(guarded.auth.issue()));
  await channel.unary(methods.any, hello, renewed);
});

test("a call with a credential by number and another as metadata is refused", async () => {
  const guarded = await guardedServer();
  const channel = await dial(guarded.listener.address);
  const token = guarded.auth.issue();
  const presented = presenting(bearer(token));
  // The first one can precede the server's HELLO, and has its credential as metadata.
  await channel.unary(methods.any, hello, presented);
  for (const other of [`Bearer ${token}`, "Bearer not-valid", "Basic YTpi"]) {
    const both = { ...presented, metadata: new Metadata({ authorization: other }) };
    for (const method of [methods.any, methods.open, { ...methods.any, name: "a.B/None" }]) {
      await failure(channel.unary(method, hello, both), "unauthenticated", "not-executed");
    }
  }
  expect(guarded.handled).toHaveLength(1);
  await channel.unary(methods.any, hello, presented);
});

test("a server that remembers none gets the credential as metadata", async () => {
  let metadata = "";
  const server = createServer((socket) => {
    const peer = new RawPeer(socket);
    open.push(() => peer.close());
    peer.send(greeting());
    peer.collector.onFrame = ({ type, call, payload }) => {
      if (type !== frameType.call) return;
      metadata = Buffer.from(payload!).toString("latin1");
      const parts = { type: frameType.result, flags: flag.message, call: call! };
      peer.send(frame({ ...parts, payload: fromHex("0a026869") }));
    };
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => new Promise((resolve) => server.close(resolve)));
  const { port } = server.address() as { port: number };
  const channel = await dial(`127.0.0.1:${port}`);
  await channel.unary(methods.any, hello, presenting(bearer("secret")));
  expect(metadata).toContain("authorization\x00\rBearer secret");
});

describe("a violation is", () => {
  const credentialFrame = (number: number, payload: string): Uint8Array =>
    frame({ type: frameType.credential, method: number, payload: Buffer.from(payload, "latin1") });
  const call = (parts: Partial<Frame> = {}) =>
    frame({
      type: frameType.call,
      flags: flag.message | flag.end | flag.credential,
      method: 1,
      call: 1,
      payload: fromHex("00010a026869"),
      ...parts,
    });
  const introduced = () => Buffer.concat([greeting(), methodFrame(1, methods.any.name)]);
  const preface = wireVectors().find(({ name }) => name === "preface")!.bytes;
  const cases: readonly (readonly [string, () => Uint8Array[]])[] = [
    ["the number 0", () => [introduced(), credentialFrame(0, "\x01token")]],
    ["a number over the limit", () => [introduced(), credentialFrame(65, "\x01token")]],
    ["an unknown scheme", () => [introduced(), credentialFrame(1, "\x02token")]],
    ["a credential without a token", () => [introduced(), credentialFrame(1, "\x01")]],
    ["a token over 8 KiB", () => [introduced(), credentialFrame(1, `\x01${"x".repeat(8_193)}`)]],
    ["a credential before HELLO", () => [preface, credentialFrame(1, "\x01token")]],
    ["a call with a number that was not given", () => [introduced(), call()]],
    [
      "a call too short for its number",
      () => [introduced(), credentialFrame(1, "\x01token"), call({ payload: fromHex("00") })],
    ],
  ];
  test.each(cases)("%s", async (_what, bytes) => {
    const guarded = await guardedServer();
    const peer = await RawPeer.connect(guarded.listener.address);
    open.push(() => peer.close());
    peer.send(...bytes());
    await until(() => peer.closed);
    expect(peer.ofType(frameType.result)).toEqual([]);
    expect(guarded.handled).toEqual([]);
    expect(JSON.stringify(guarded.log.lines)).toContain("connection");
  });

  test("a credential to a server without auth", async () => {
    const listener = await tcpTransport().listen("127.0.0.1:0", {
      method: () => methods.any,
      unary: () => hello,
      async *stream() {},
    });
    open.push(() => listener.close());
    for (const bytes of [credentialFrame(1, "\x01token"), call()]) {
      const peer = await RawPeer.connect(listener.address);
      open.push(() => peer.close());
      peer.send(introduced(), bytes);
      await until(() => peer.closed);
      expect(peer.ofType(frameType.result)).toEqual([]);
    }
  });

  test("a credential from the server", async () => {
    const server = createServer((socket) => {
      const peer = new RawPeer(socket);
      open.push(() => peer.close());
      peer.send(greeting(), credentialFrame(1, "\x01token"));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    open.push(() => new Promise((resolve) => server.close(resolve)));
    const { port } = server.address() as { port: number };
    const channel = await dial(`127.0.0.1:${port}`);
    expect((await channel.closed)?.message).toContain("frame type 128 from a server");
  });
});

test("a connection whose credentials keep failing is closed", async () => {
  const guarded = await guardedServer();
  const peer = await RawPeer.connect(guarded.listener.address);
  open.push(() => peer.close());
  peer.send(greeting());
  await until(() => peer.frames.length > 0);
  const bad = (number: number) => {
    const payload = Buffer.from(`\x01bad-${number}`, "latin1");
    return frame({ type: frameType.credential, method: 1 + (number % 64), payload });
  };
  // More than a connection may present at once, before the first of them is refused.
  peer.send(...Array.from({ length: 150 }, (_, number) => bad(number)));
  const ping = frame({ type: frameType.ping });
  for (let more = 0; !peer.closed && more < 100; more++) {
    peer.send(bad(150 + more), ping);
    // What a peer sends to a connection that has ended can make it lose the reason.
    await until(() => peer.closed || peer.ofType(frameType.pong).length > more);
  }
  expect(peer.closed).toBe(true);
  const [end] = peer.ofType(frameType.goaway);
  expect(Buffer.from(end!.payload!).toString()).toContain("too many credentials");
});

test("the settings that a server with auth announces are those of the document", async () => {
  const guarded = await guardedServer();
  const peer = await RawPeer.connect(guarded.listener.address);
  open.push(() => peer.close());
  peer.send(greeting());
  await until(() => peer.frames.length > 0);
  const { bytes } = wireVectors().find(({ name }) => name === "hello-credentials")!;
  expect(toHex(peer.received.subarray(8, 8 + bytes.length))).toBe(toHex(bytes));
});
