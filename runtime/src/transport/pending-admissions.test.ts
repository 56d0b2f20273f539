import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { deadlineAfter } from "../base/deadline.ts";
import { MicroError } from "../base/error.ts";
import { type AdmissionReceiver, PendingAdmissions } from "./pending-admissions.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function receiver(): AdmissionReceiver & { readonly results: string[] } {
  const results: string[] = [];
  return {
    results,
    admitted: () => results.push("admitted"),
    refused: ({ code, outcome }) => results.push(`${code} ${outcome}`),
  };
}

const never = new Promise<undefined>(() => {});

test("a receiver is told the result once, and nothing after it has stopped waiting", async () => {
  const pending = new PendingAdmissions();
  const admitted = receiver();
  const refused = receiver();
  const stopped = receiver();
  pending.wait(Promise.resolve(undefined), admitted);
  pending.wait(Promise.reject(new MicroError("unauthenticated", "no")), refused);
  pending.wait(Promise.resolve(undefined), stopped)();
  expect(pending.size).toBe(2);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(admitted.results).toEqual(["admitted"]);
  expect(refused.results).toEqual(["unauthenticated not-executed"]);
  expect(stopped.results).toEqual([]);
  expect(pending.size).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

test("a call waits for 5 seconds, or until its deadline", async () => {
  const pending = new PendingAdmissions();
  const slow = receiver();
  const late = receiver();
  pending.wait(never, slow);
  pending.wait(never, late, deadlineAfter(1_000));
  await vi.advanceTimersByTimeAsync(1_001);
  expect(late.results).toEqual(["deadline_exceeded not-executed"]);
  expect(slow.results).toEqual([]);
  await vi.advanceTimersByTimeAsync(4_000);
  expect(slow.results).toEqual(["unavailable not-executed"]);
  expect(pending.size).toBe(0);
});

test("no more than 1,024 calls wait", async () => {
  const pending = new PendingAdmissions();
  for (let index = 0; index < 1_024; index++) pending.wait(never, receiver());
  const refused = Promise.reject(new Error("its rejection is handled"));
  expect(() => pending.wait(refused, receiver())).toThrow(/more than 1024 calls/);
  pending.clear();
  expect(pending.size).toBe(0);
  pending.wait(never, receiver());
  pending.clear();
  expect(vi.getTimerCount()).toBe(0);
});
