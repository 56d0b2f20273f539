import { expect, test } from "vitest";
import { AsyncQueue } from "./async-queue.ts";
import { MicroError } from "./error.ts";

test("values and reads are matched in order, whichever come first", async () => {
  const queue = new AsyncQueue<number>();
  queue.push(1);
  const reads = [queue.next(), queue.next(), queue.next()];
  expect(queue.isAwaited).toBe(true);
  queue.push(2);
  queue.push(3);
  queue.push(4);
  expect((await Promise.all(reads)).map(({ value }) => value)).toEqual([1, 2, 3]);
  expect(queue).toMatchObject({ length: 1, isAwaited: false });
});

test("the end discards unread values, and its error goes to one read", async () => {
  const queue = new AsyncQueue<number>();
  queue.push(1);
  queue.end(new MicroError("unavailable", "the backend is lost"));
  queue.push(2);
  await expect(queue.next()).rejects.toThrow("the backend is lost");
  expect(await queue.next()).toEqual({ done: true, value: undefined });

  const awaited = new AsyncQueue<number>();
  const reads = [awaited.next(), awaited.next()];
  awaited.end(new MicroError("unavailable", "the backend is lost"));
  await expect(reads[0]).rejects.toThrow("the backend is lost");
  expect(await reads[1]).toEqual({ done: true, value: undefined });
});

test("a signal ends it once, even one that has fired", async () => {
  let ends = 0;
  class Counting extends AsyncQueue<number> {
    protected override onEnd(): void {
      ends++;
    }
  }
  const ending = new AbortController();
  const queue = new Counting();
  queue.endOn([undefined, ending.signal]);
  const read = queue.next();
  ending.abort();
  expect(await read).toEqual({ done: true, value: undefined });
  await queue.return();
  expect(ends).toBe(1);
  new Counting().endOn(ending.signal);
  expect(ends).toBe(2);
});
