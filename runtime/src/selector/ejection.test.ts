import { expect, test } from "vitest";
import { defaultEjection, FailureRecord } from "./ejection.ts";

test("each further ejection lasts longer, up to the maximum", () => {
  const record = new FailureRecord();
  const lengths: number[] = [];
  let now = 1_000_000;
  for (let ejection = 0; ejection < 12; ejection++) {
    record.eject(defaultEjection, now);
    lengths.push(record.ejectedUntil - now);
    now = record.ejectedUntil;
    record.readmit(defaultEjection, now);
  }
  expect(lengths.slice(0, 3)).toEqual([30_000, 60_000, 90_000]);
  expect(lengths.at(-1)).toBe(300_000);
});

test("a node without failures for long is no longer penalized", () => {
  const record = new FailureRecord();
  record.eject(defaultEjection, 0);
  record.readmit(defaultEjection, 30_000);
  record.eject(defaultEjection, 30_000);
  record.readmit(defaultEjection, 90_000);
  record.eject(defaultEjection, 110_000);
  expect(record.ejectedUntil).toBe(140_000);
});

test("a node that comes back is on probation", () => {
  const record = new FailureRecord();
  record.eject(defaultEjection, 0);
  record.readmit(defaultEjection, 30_000);
  expect(record.failures).toBe(defaultEjection.failures - 1);
});
