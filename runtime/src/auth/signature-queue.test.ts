import { expect, test } from "vitest";
import type { Peer } from "../call/call.ts";
import { ConnectionPeer } from "../call/connection-peer.ts";
import { countInvalid } from "./invalid-credentials.ts";
import { SignatureQueue } from "./signature-queue.ts";

const connect = () => new ConnectionPeer("127.0.0.1:1", "tcp");

/** Runs as many verifications as it says, and keeps the order in which they begin. */
function recorded(queue: SignatureQueue) {
  const order: string[] = [];
  const run = (name: string, peer: Peer) =>
    queue.run(peer, async () => {
      order.push(name);
      await new Promise((resolve) => setImmediate(resolve));
    });
  return { order, run };
}

test("connections take turns, so that one with many credentials delays the others little", async () => {
  const { order, run } = recorded(new SignatureQueue(1));
  const [busy, other] = [connect(), connect()];
  const work = [1, 2, 3, 4].map((number) => run(`busy ${number}`, busy));
  await Promise.all([...work, run("other", other)]);
  expect(order).toEqual(["busy 1", "busy 2", "other", "busy 3", "busy 4"]);
});

test("connections without an invalid credential go first, and the others are not forgotten", async () => {
  const { order, run } = recorded(new SignatureQueue(1));
  const suspect = connect();
  countInvalid(suspect);
  const first = run("first", connect());
  const late = run("suspect", suspect);
  const work = [1, 2, 3, 4, 5].map((number) => run(`${number}`, connect()));
  await Promise.all([first, late, ...work]);
  expect(order).toEqual(["first", "1", "2", "3", "suspect", "4", "5"]);
});

test("no more run at the same time than are allowed, and a failure frees its place", async () => {
  const queue = new SignatureQueue(2);
  let [atWork, most] = [0, 0];
  const verify = async () => {
    most = Math.max(most, ++atWork);
    await new Promise((resolve) => setImmediate(resolve));
    atWork--;
    throw new Error("invalid");
  };
  const results = await Promise.allSettled(
    Array.from({ length: 9 }, () => queue.run(connect(), verify)),
  );
  expect(results.every(({ status }) => status === "rejected")).toBe(true);
  expect(most).toBe(2);
});
