import { expect, test } from "vitest";
import { missedCliGoals, summarize } from "./cli-times.ts";

test("the check of the command line's times uses medians, and fails if one is too long or missing", () => {
  const bare: [string, number[]] = ["node -e 0", [50, 40, 900]];
  const rows = summarize(new Map([bare, ["micro --help", [100, 149, 2_000]]]), "node -e 0");
  expect(rows[1]).toEqual({
    command: "micro --help",
    medianMs: 149,
    leastMs: 100,
    timesNode: 149 / 50,
  });
  expect(missedCliGoals(rows)).toEqual([]);
  const slow = summarize(new Map([bare, ["micro --help", [151, 151, 40]]]), "node -e 0");
  expect(missedCliGoals(slow)).toEqual(["micro --help takes 151.0 ms, over 150 ms"]);
  expect(missedCliGoals(summarize(new Map([bare]), "node -e 0"))).toEqual([
    "micro --help was not measured",
  ]);
});
