import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import {
  listenForAbort,
  pauseUntilAborted,
  throwIfAborted,
  untilAborted,
  waitUntilAborted,
} from "./abort.ts";
import { LinkedSignal } from "./linked-signal.ts";

const never = new Promise<never>(() => {});

test("is the promise's own result if the signal does not fire, or there is none", async () => {
  const { signal } = new AbortController();
  const failure = new Error("no");
  expect(await untilAborted(Promise.resolve(1), signal)).toBe(1);
  expect(await untilAborted(Promise.resolve(1), undefined)).toBe(1);
  await expect(untilAborted(Promise.reject(failure), signal)).rejects.toBe(failure);
});

test("is the signal's reason when it fires first, or has already fired", async () => {
  const controller = new AbortController();
  const waits = Array.from({ length: 20 }, () => untilAborted(never, controller.signal));
  controller.abort();
  for (const wait of waits) await expect(wait).rejects.toMatchObject({ code: "canceled" });
  await expect(untilAborted(never, controller.signal)).rejects.toMatchObject({ code: "canceled" });
});

test("rejects with deadline_exceeded for a timeout signal, and handles a later rejection", async () => {
  const signal = AbortSignal.timeout(1);
  const late = new Promise((_, reject) => {
    signal.addEventListener("abort", () => setTimeout(() => reject(new Error("late"))));
  });
  await expect(untilAborted(late, signal)).rejects.toMatchObject({ code: "deadline_exceeded" });
  await late.catch(() => {});
});

test("passes a late value to the callback that closes it", async () => {
  const controller = new AbortController();
  const late: string[] = [];
  let open: (value: string) => void = () => {};
  const opening = new Promise<string>((resolve) => {
    open = resolve;
  });
  const waiting = untilAborted(opening, controller.signal, { late: (value) => late.push(value) });
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ code: "canceled", outcome: "not-executed" });
  open("connection");
  await opening;
  expect(late).toEqual(["connection"]);
});

test("calls a listener once, whichever signal fires and whenever it fired", () => {
  const [first, second] = [new AbortController(), new AbortController()];
  const told: unknown[] = [];
  listenForAbort([undefined, first.signal, second.signal], (reason) => told.push(reason));
  second.abort("second");
  first.abort("first");
  listenForAbort([first.signal, second.signal], (reason) => told.push(reason));
  expect(told).toEqual(["second", "first"]);
  expect(() => throwIfAborted(undefined)).not.toThrow();
  expect(() => throwIfAborted(AbortSignal.abort())).toThrow(
    expect.objectContaining({ code: "canceled", outcome: "not-executed" }),
  );
});

test("leaves no listener behind, however it ends", async () => {
  const { signal } = new AbortController();
  const other = new AbortController();
  listenForAbort([signal, other.signal], () => {})();
  await untilAborted(Promise.resolve(), signal);
  await pauseUntilAborted(1, [signal, other.signal]);
  let ended = 0;
  await waitUntilAborted(signal, (done) => {
    done();
    return () => ended++;
  });
  new LinkedSignal(signal, other.signal).release();
  const linked = new LinkedSignal(signal, other.signal);
  other.abort("other");
  expect(linked.signal.reason).toBe("other");
  await waitUntilAborted([signal, other.signal], () => expect.unreachable());
  expect(ended).toBe(1);
  for (const each of [signal, other.signal]) {
    expect(getEventListeners(each, "abort")).toEqual([]);
  }
});
