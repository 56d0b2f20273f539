import { expect, test } from "vitest";
import { defaultRetryBudget, RetryBudget } from "./retry-budget.ts";

function budget(options = {}) {
  let now = 0;
  const it = new RetryBudget({ ...defaultRetryBudget, ...options }, () => now);
  const drain = () => {
    let count = 0;
    while (it.withdraw()) count++;
    return count;
  };
  return { it, drain, pass: (ms: number) => (now += ms) };
}

test("it starts with the budget of ten seconds", () => {
  expect(budget().drain()).toBe(100);
});

test("a fifth of the calls that succeed may be retried", () => {
  const { it, drain } = budget();
  drain();
  for (let call = 0; call < 1_000; call++) it.deposit();
  expect(drain()).toBeGreaterThanOrEqual(199);
});

test("ten a second may be retried when nothing succeeds", () => {
  const { drain, pass } = budget();
  drain();
  pass(3_000);
  expect(drain()).toBe(30);
});

test("the saved budget is bounded", () => {
  const { it, drain, pass } = budget({ most: 50 });
  pass(3_600_000);
  for (let call = 0; call < 10_000; call++) it.deposit();
  expect(drain()).toBe(50);
});
