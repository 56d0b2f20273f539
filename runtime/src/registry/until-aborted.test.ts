import { expect, test } from "vitest";
import { untilAborted } from "./until-aborted.ts";

const never = new Promise<never>(() => {});

test("is the promise's own result while the signal is silent, or without one", async () => {
  const { signal } = new AbortController();
  const failure = new Error("no");
  expect(await untilAborted(Promise.resolve(1), signal)).toBe(1);
  expect(await untilAborted(Promise.resolve(1), undefined)).toBe(1);
  await expect(untilAborted(Promise.reject(failure), signal)).rejects.toBe(failure);
});

test("is the signal's reason when that comes first, also where it has come before", async () => {
  const controller = new AbortController();
  const waits = Array.from({ length: 20 }, () => untilAborted(never, controller.signal));
  controller.abort();
  for (const wait of waits) await expect(wait).rejects.toMatchObject({ code: "canceled" });
  await expect(untilAborted(never, controller.signal)).rejects.toMatchObject({ code: "canceled" });
});

test("ends with deadline_exceeded by a signal that is a timeout, and swallows what comes after", async () => {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("late")), 20));
  await expect(untilAborted(late, AbortSignal.timeout(1))).rejects.toMatchObject({
    code: "deadline_exceeded",
  });
  await late.catch(() => {});
});
