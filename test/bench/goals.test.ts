import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { allCells } from "./cells.ts";
import { type Goal, goalContenders, goals, isNeeded, printGoals } from "./goals.ts";
import type { Row } from "./table.ts";

let printed: string[] = [];
beforeEach(() => {
  printed = [];
  vi.spyOn(console, "log").mockImplementation((line) => void printed.push(line));
});
afterEach(() => vi.restoreAllMocks());

/** Rows of a machine on which all contenders perform exactly the same. */
const rows: readonly Row[] = allCells.flatMap((cell) =>
  goalContenders.map((contender) => ({
    ...cell,
    contender,
    perSecond: 1_000,
    p50Us: 10,
    p99Us: 20,
    ratioToGrpcJs: 1,
    ratioToRawTcp: 1,
    cpuUsPerOperation: 5,
    clientCpuSecondsPer10k: 0.02,
    serverCpuSecondsPer10k: 0.03,
    clientRssMb: 50,
    serverRssMb: 50,
  })),
);

test("every goal refers to something that is measured", () => {
  for (const goal of goals) {
    expect(goal.measure(rows), goal.what).toBeGreaterThan(0);
    const needed = rows.filter((row) => isNeeded(row, row.contender));
    expect(goal.measure(needed), goal.what).toBe(goal.measure(rows));
  }
});

test("a goal that is missed, or cannot be measured, fails the check by name", () => {
  expect(printGoals(rows, goals)).toBe(false);
  expect(printed).toContain("MISSED   128 in flight, times grpc-js: 1.00 (at least 100)");
  printed = [];
  expect(printGoals([], goals.slice(0, 1))).toBe(false);
  expect(printed).toEqual(["MISSED   128 in flight, times grpc-js: not measured (at least 100)"]);
});

test("goals that are all met pass the check, and a planted failure fails it", () => {
  const reached: readonly Goal[] = [
    { what: "as fast as itself", atLeast: 1, measure: () => 1 },
    { what: "no slower", atMost: 1, measure: () => 1 },
  ];
  expect(printGoals(rows, reached)).toBe(true);
  expect(printed).toEqual([
    "reached  as fast as itself: 1.00 (at least 1)",
    "reached  no slower: 1.00 (at most 1)",
  ]);
  const planted: Goal = { what: "faster than itself", atLeast: 1.01, measure: () => 1 };
  expect(printGoals(rows, [...reached, planted])).toBe(false);
});
