import { expect, test } from "vitest";
import { OutputBacklog } from "./output-backlog.ts";

const mebibyte = 1024 * 1024;

test("a peer that reads at full speed may leave more than the limit for a while", () => {
  const backlog = new OutputBacklog(64 * mebibyte);
  expect(backlog.isFull(160 * mebibyte, 0, 0)).toBe(false);
  expect(backlog.isFull(160 * mebibyte, 100 * mebibyte, 2_000)).toBe(false);
  expect(backlog.isFull(513 * mebibyte, 100 * mebibyte, 2_000)).toBe(true);
});

test("a peer that reads nothing, or hardly, may not after a second", () => {
  const backlog = new OutputBacklog(64 * mebibyte);
  expect(backlog.isFull(64 * mebibyte, 0, 0)).toBe(false);
  expect(backlog.isFull(65 * mebibyte, 0, 0)).toBe(false);
  expect(backlog.isFull(65 * mebibyte, 0, 999)).toBe(false);
  expect(backlog.isFull(65 * mebibyte, 0, 1_000)).toBe(true);
  expect(backlog.isFull(65 * mebibyte, 10_000, 1_000)).toBe(true);
  expect(backlog.isFull(60 * mebibyte, 5 * mebibyte, 2_000)).toBe(false);
  expect(backlog.isFull(65 * mebibyte, 5 * mebibyte, 2_000)).toBe(false);
});
