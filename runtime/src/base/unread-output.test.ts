import { expect, test } from "vitest";
import { unreadOutput } from "./unread-output.ts";

const MiB = 1024 * 1024;

test("connections share what the process holds, and each may hold a little in any case", () => {
  const connections = Array.from({ length: 10 }, () => ({ unsentBytes: 51 * MiB }));
  const small = { unsentBytes: MiB };
  const full = () => connections.map((it) => unreadOutput.isFull(it));
  expect(full()).not.toContain(true);
  expect(full()).not.toContain(true);
  const [first, second] = connections as [{ unsentBytes: number }, { unsentBytes: number }];
  first.unsentBytes += 3 * MiB;
  expect(full()).not.toContain(false);
  expect(unreadOutput.isFull(small)).toBe(false);
  // A peer has read, or is gone.
  first.unsentBytes = 0;
  expect(full()).not.toContain(true);
  first.unsentBytes = 54 * MiB;
  expect(unreadOutput.isFull(first)).toBe(true);
  unreadOutput.forget(second);
  expect(unreadOutput.isFull(first)).toBe(false);
  for (const it of connections) unreadOutput.forget(it);
});
