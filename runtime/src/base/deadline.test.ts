import { expect, test } from "vitest";
import { DeadlineSweep, deadlineAfter, remainingMs } from "./deadline.ts";

test("a sweep calls its owner at the earliest deadline, and again at the next", async () => {
  const woken: number[] = [];
  const second = deadlineAfter(30);
  await new Promise<void>((resolve) => {
    const sweep: DeadlineSweep = new DeadlineSweep((now) => {
      woken.push(now);
      if (woken.length === 1) return second;
      resolve();
      return Number.POSITIVE_INFINITY;
    });
    sweep.watch(deadlineAfter(60_000));
    sweep.watch(deadlineAfter(10));
    // A sweep does not keep the process alive, so the test does.
    setTimeout(() => sweep.close(), 5_000).unref();
  });
  expect(woken).toHaveLength(2);
  expect(woken[1]).toBeGreaterThanOrEqual(second - 1);
});

test("a deadline in 60 days does not expire at once", async () => {
  let woken = false;
  const sweep = new DeadlineSweep(() => {
    woken = true;
    return Number.POSITIVE_INFINITY;
  });
  sweep.watch(deadlineAfter(60 * 24 * 3600 * 1000));
  await new Promise((resolve) => setTimeout(resolve, 20));
  sweep.close();
  expect(woken).toBe(false);
});

test("a closed sweep calls no owner", async () => {
  let woken = false;
  const sweep = new DeadlineSweep(() => {
    woken = true;
    return Number.POSITIVE_INFINITY;
  });
  sweep.watch(deadlineAfter(5));
  sweep.close();
  await new Promise((resolve) => setTimeout(resolve, 25));
  expect(woken).toBe(false);
  expect(remainingMs(deadlineAfter(-1))).toBeLessThan(0);
});
