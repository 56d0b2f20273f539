import { type MicroError, tcpTransport } from "@micro-es/runtime";
import type { TransportLimits } from "@micro-es/runtime/driver";
import { afterEach, describe, expect, test } from "vitest";
import { answering } from "../../../../test/contract/transport-fixture.ts";
import {
  endHeaders,
  endStream,
  frame,
  grpcHeader,
  types,
  uint32,
} from "../../../../test/hostile/raw-http2.ts";
import { FramePeer } from "../../../../test/support/http2-peers.ts";
import { errorCode } from "../http2/error-code.ts";
import type { HttpProtocolOptions } from "./protocol-server.ts";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const maxConcurrentStreamsSetting = 3;

/** A listener with these options, and a client of it that sends frames. */
async function connect(
  options: Partial<TransportLimits> & { readonly http?: HttpProtocolOptions } = {},
) {
  const errors: MicroError[] = [];
  const transport = tcpTransport(options);
  const listener = await transport.listen(
    "127.0.0.1:0",
    answering({
      unary: ({ text }) => ({ text }),
      async *stream() {
        for (;;) yield { payload: new Uint8Array(10_000) };
      },
    }),
    { onConnectionError: (error) => errors.push(error) },
  );
  open.push(() => listener.close());
  const peer = FramePeer.client(Number(listener.address.split(":").at(-1)));
  open.push(() => peer[Symbol.dispose]());
  return { listener, peer, errors };
}

const repeat = grpcHeader("/micro.test.v1.EchoService/Repeat");
const emptyMessage = Buffer.alloc(5);

/** Calls a method whose responses do not end. */
function callEndless(peer: FramePeer, stream: number): void {
  peer.send(
    frame(types.headers, endHeaders, stream, repeat),
    frame(types.data, endStream, stream, emptyMessage),
  );
}

describe("a port holds clients of HTTP/2 to its options:", () => {
  test("as many calls at once as are allowed, which it announces", async () => {
    const { peer, listener } = await connect({ http: { maxConcurrentStreams: 3 } });
    await expect.poll(() => peer.of(types.settings).length).toBeGreaterThan(0);
    const { payload } = peer.of(types.settings)[0]!;
    const values = new Map<number, number>();
    for (let at = 0; at < payload.length; at += 6) {
      values.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    }
    expect(values.get(maxConcurrentStreamsSetting)).toBe(3);
    for (const stream of [1, 3, 5, 7]) callEndless(peer, stream);
    await expect.poll(() => peer.reset(7)).toBe(errorCode.refusedStream);
    await expect.poll(() => listener.openCalls).toBe(3);
  });

  test("streams that are reset too often end their connection, which is reported", async () => {
    const { peer, errors, listener } = await connect();
    for (let round = 0; round < 1_000; round++) {
      const stream = 2 * round + 1;
      peer.send(
        frame(types.headers, endHeaders, stream, repeat),
        frame(types.reset, 0, stream, uint32(errorCode.noError)),
      );
    }
    await expect.poll(() => peer.isClosed).toBe(true);
    expect(peer.goaway).toBe(errorCode.enhanceYourCalm);
    expect(errors).toMatchObject([{ code: "resource_exhausted" }]);
    expect(errors[0]!.message).toContain("streams were reset more than 800 times");
    await expect.poll(() => listener.openCalls).toBe(0);
  });

  test("a connection without calls is closed", async () => {
    const { peer, listener } = await connect({ http: { idleTimeoutMs: 50 } });
    await expect.poll(() => peer.goaway).toBe(errorCode.noError);
    peer.send(frame(types.ping, 1, 0, peer.of(types.ping)[0]!.payload));
    await expect.poll(() => listener.connections).toBe(0);
  });

  test("a client that is gone is noticed, and its calls are ended", async () => {
    const { peer, listener, errors } = await connect({
      keepaliveIntervalMs: 200,
      keepaliveTimeoutMs: 200,
    });
    callEndless(peer, 1);
    await expect.poll(() => listener.openCalls).toBe(1);
    await expect.poll(() => peer.of(types.ping).length).toBe(1);
    await expect.poll(() => peer.isClosed).toBe(true);
    expect(errors[0]?.message).toContain("nothing was received for 200 ms");
    expect(listener.openCalls).toBe(0);
  });

  test("a call whose response is not read is ended", async () => {
    const { peer, listener } = await connect({ http: { idleTimeoutMs: 100 } });
    callEndless(peer, 1);
    await expect.poll(() => peer.reset(1)).toBe(errorCode.enhanceYourCalm);
    expect(listener.openCalls).toBe(0);
    expect(peer.isClosed).toBe(false);
  });
});

test("a drain refuses calls that cross it, as many as they are, and finishes the others", async () => {
  const { peer, listener } = await connect({ http: { maxConcurrentStreams: 2_000 } });
  callEndless(peer, 1);
  await expect.poll(() => listener.openCalls).toBe(1);
  const drained = listener.drain();
  for (let round = 1; round <= 1_500; round++) callEndless(peer, 2 * round + 1);
  await expect.poll(() => peer.reset(3_001)).toBe(errorCode.refusedStream);
  expect(peer.of(7).map(({ payload }) => payload.readUInt32BE(0))).toEqual([1]);
  expect(peer.isClosed).toBe(false);
  expect(listener.openCalls).toBe(1);
  peer.send(frame(types.reset, 0, 1, uint32(errorCode.cancel)));
  await drained;
  await expect.poll(() => listener.connections).toBe(0);
});
