import { tcpTransport } from "@micro-es/runtime";
import { afterEach, expect, test } from "vitest";
import { flag, frameType } from "../../runtime/src/transport/native/protocol.ts";
import { frame, fromHex, greeting, methodFrame, RawPeer } from "../support/wire.ts";
import { type GuardedServer, methods, startGuardedServer } from "./guarded-server.ts";

/** A hostile client renews the credentials of a native connection in bad moments. */

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function connected(): Promise<{ guarded: GuardedServer; peer: RawPeer }> {
  const guarded = await startGuardedServer(tcpTransport(), "127.0.0.1:0");
  open.push(() => guarded[Symbol.asyncDispose]());
  const peer = await RawPeer.connect(guarded.listener.address);
  open.push(() => peer.close());
  peer.send(greeting(), methodFrame(1, methods.any.name), methodFrame(2, methods.watch.name));
  return { guarded, peer };
}

const credential = (number: number, token: string): Uint8Array =>
  frame({ type: frameType.credential, method: number, payload: Buffer.from(`\x01${token}`) });

const call = (id: number, number: number, method = 1): Uint8Array =>
  frame({
    ...{ type: frameType.call, method, call: id },
    flags: flag.message | flag.end | flag.credential | (method === 2 ? flag.stream : 0),
    payload: Buffer.concat([Buffer.from([0, number]), fromHex("0a026869")]),
  });

const isRefused = (peer: RawPeer, id: number): boolean =>
  peer.ofType(frameType.result).some((it) => it.call === id && (it.flags ?? 0) & flag.error);

test("a call has the credential that its number had when it came, also while that is verified", async () => {
  const { guarded, peer } = await connected();
  const [one, two] = [guarded.auth.issue(), guarded.auth.issue()];
  const release = guarded.auth.hold();
  peer.send(credential(1, one), call(1, 1), credential(1, "forged"), call(3, 1));
  peer.send(credential(1, two), call(5, 1));
  await expect.poll(() => guarded.auth.pending).toBe(3);
  release();
  await expect.poll(() => peer.ofType(frameType.result).length).toBe(3);
  expect(guarded.handled.map(([, id]) => id).sort()).toEqual(["user-1", "user-2"]);
  expect([1, 3, 5].map((id) => isRefused(peer, id))).toEqual([false, true, false]);
});

test("calls that are cancelled while they wait for their credential are not executed", async () => {
  const { guarded, peer } = await connected();
  const token = guarded.auth.issue();
  const release = guarded.auth.hold();
  peer.send(credential(1, token), call(1, 1), call(3, 1, 2), call(5, 1));
  await expect.poll(() => guarded.auth.pending).toBe(1);
  for (const id of [1, 3]) peer.send(frame({ type: frameType.cancel, call: id }));
  // The beginning of a credential that never comes to its end.
  peer.send(frame({ type: frameType.ping }), credential(1, "half").subarray(0, 12));
  await expect.poll(() => peer.ofType(frameType.pong).length).toBe(1);
  release();
  await expect.poll(() => peer.ofType(frameType.result).length).toBe(1);
  expect(guarded.handled).toEqual([["Any", "user-1"]]);
  expect(isRefused(peer, 5)).toBe(false);
});

test("a stream whose method a rule denies while its credential is verified does not begin", async () => {
  const { guarded, peer } = await connected();
  const token = guarded.auth.issue();
  const release = guarded.auth.hold();
  peer.send(credential(1, token), call(1, 1, 2));
  await expect.poll(() => guarded.auth.pending).toBe(1);
  await guarded.rules.grant({
    ...({ id: "no-watch", access: "denied", priority: 9, subject: {} } as const),
    resource: { type: "method", name: methods.watch.name },
  });
  release();
  await expect.poll(() => isRefused(peer, 1)).toBe(true);
  expect(guarded.handled).toEqual([]);
});

test("a number that is renewed without end is verified in bounds, and the connection is served meanwhile", async () => {
  const { guarded, peer } = await connected();
  const release = guarded.auth.hold();
  for (let count = 0; count < 5_000; count++) peer.send(credential(1, `forged-${count}`));
  peer.send(frame({ type: frameType.ping }));
  await expect.poll(() => peer.ofType(frameType.pong).length).toBe(1);
  expect(guarded.auth.pending).toBeLessThanOrEqual(512);
  release();
  await expect.poll(() => guarded.auth.pending).toBe(0);
  expect(guarded.handled).toEqual([]);
});
