import { expect, test } from "vitest";
import { DecodedAhead, ReceiveQueue, type ReceiveQueueOwner } from "./receive-queue.ts";

const mebibyte = 1024 * 1024;

/**
 * Creates a queue that records the first byte of each decoded message. A message that begins with
 * 255 cannot be decoded.
 */
function inbox(decodedAhead = new DecodedAhead()) {
  const decoded: number[] = [];
  const figures = { unread: 0 };
  const owner: ReceiveQueueOwner = {
    decodedAhead,
    opened: () => undefined,
    consumed: (cost) => {
      figures.unread -= cost;
    },
    dropped: (cost) => {
      figures.unread -= cost;
    },
    abandoned: () => undefined,
    decode: (bytes, start) => {
      const first = bytes[start]!;
      if (first === 255) {
        messages.abort(new Error("cannot be decoded"));
        return undefined;
      }
      decoded.push(first);
      return { first };
    },
  };
  const messages = new ReceiveQueue<{ first: number }>(owner);
  const receive = (first: number, cost: number) => {
    figures.unread += cost;
    messages.receive(Uint8Array.of(0, first, 0, 0, 0, 0), 1, 2, cost);
  };
  return { messages, receive, decoded, figures, decodedAhead };
}

test("messages beyond the bound are decoded when they are read, in order", async () => {
  const { messages, receive, decoded, figures, decodedAhead } = inbox();
  for (const first of [1, 2, 3, 4]) receive(first, mebibyte / 2);
  expect(decoded).toEqual([1, 2]);
  for (const first of [1, 2, 3]) {
    expect(await messages.next()).toEqual({ done: false, value: { first } });
  }
  expect(decoded).toEqual([1, 2, 3]);
  expect(decodedAhead.cost).toBe(0);
  await messages.return();
  expect(figures.unread).toBe(0);
});

test("a message that a reader awaits is decoded at once, whatever is queued elsewhere", async () => {
  const { messages, receive, decodedAhead } = inbox();
  decodedAhead.cost = 10 * mebibyte;
  const next = messages.next();
  receive(7, 10);
  expect(await next).toEqual({ done: false, value: { first: 7 } });
  expect(decodedAhead.cost).toBe(10 * mebibyte);
});

test("queues share the bound, and release what they drop", async () => {
  const shared = new DecodedAhead();
  const first = inbox(shared);
  const second = inbox(shared);
  first.receive(1, mebibyte);
  second.receive(2, 1);
  expect(second.decoded).toEqual([]);
  first.messages.abort(new Error("over"));
  second.receive(3, 1);
  expect(second.decoded).toEqual([3]);
  await second.messages.return();
  expect(shared.cost).toBe(0);
});

test("a message that cannot be decoded when it is read ends the reader with the reason", async () => {
  const { messages, receive, figures, decodedAhead } = inbox();
  receive(1, mebibyte);
  receive(255, 10);
  receive(2, 10);
  expect(await messages.next()).toEqual({ done: false, value: { first: 1 } });
  await expect(messages.next()).rejects.toThrow("cannot be decoded");
  expect(await messages.next()).toEqual({ done: true, value: undefined });
  expect([figures.unread, decodedAhead.cost]).toEqual([0, 0]);
});
