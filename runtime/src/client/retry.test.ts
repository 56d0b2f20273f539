import { describe, expect, test } from "vitest";
import { echo } from "../../../test/support/echo.ts";
import { backoffMs } from "../base/backoff.ts";
import { type Code, type Outcome, UncheckedMicroError } from "../base/error.ts";
import type { AnyMethod, RetryPolicy } from "../call/method.ts";
import { decideRetry, defaultRetry, type FailedAttempt, retryPolicy } from "./retry.ts";

const policy: RetryPolicy = { ...defaultRetry, on: ["unavailable", "aborted"] };

function decide(
  code: Code,
  outcome: Outcome,
  more: Partial<FailedAttempt> & { retryAfterMs?: number; budget?: boolean } = {},
) {
  const { retryAfterMs, budget = true, ...rest } = more;
  let withdrawn = 0;
  // A foreign error may contain any push-back.
  const error = new UncheckedMicroError(code, "failed", {
    outcome,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
  const decision = decideRetry(
    {
      error,
      attempts: 1,
      transparentRetries: 0,
      turnedAway: false,
      timesTurnedAway: 0,
      idempotent: false,
      committed: false,
      refused: true,
      policy,
      remainingMs: 10_000,
      ...rest,
    },
    () => {
      withdrawn++;
      return budget;
    },
    () => 0.5,
  );
  return { retried: decision !== undefined, withdrawn, ...decision };
}

describe("whether a failed attempt is followed by another", () => {
  const codes: readonly Code[] = [
    "canceled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
  ];
  const outcomes: readonly Outcome[] = ["not-executed", "unknown", "executed"];

  test("by code, outcome, idempotency and policy: every combination", () => {
    const retried: string[] = [];
    for (const code of codes) {
      for (const outcome of outcomes) {
        for (const idempotent of [false, true]) {
          for (const policyName of ["policy", "none"]) {
            const given = policyName === "policy" ? policy : undefined;
            if (decide(code, outcome, { idempotent, policy: given }).retried) {
              retried.push(
                `${code} ${outcome} ${idempotent ? "idempotent" : "once"} ${policyName}`,
              );
            }
          }
        }
      }
    }
    expect(retried).toEqual([
      "aborted not-executed once policy",
      "aborted not-executed idempotent policy",
      "aborted unknown idempotent policy",
      "aborted executed idempotent policy",
      "unavailable not-executed once policy",
      "unavailable not-executed once none",
      "unavailable not-executed idempotent policy",
      "unavailable not-executed idempotent none",
      "unavailable unknown idempotent policy",
      "unavailable executed idempotent policy",
    ]);
  });

  test("never once it is committed", () => {
    expect(decide("unavailable", "not-executed", { committed: true }).retried).toBe(false);
  });

  test("as often as the policy says, and five times at most", () => {
    const begun = (attempts: number, more: Partial<RetryPolicy> = {}) =>
      decide("unavailable", "unknown", {
        idempotent: true,
        attempts,
        policy: { ...policy, ...more },
      }).retried;
    expect([begun(1), begun(2), begun(3)]).toEqual([true, true, false]);
    expect(begun(1, { attempts: 1 })).toBe(false);
    expect([begun(4, { attempts: 100 }), begun(5, { attempts: 100 })]).toEqual([true, false]);
  });

  test("transparent retries are few, and do not count as attempts of the policy", () => {
    const refused = (attempts: number, transparentRetries: number, idempotent = false) =>
      decide("unavailable", "not-executed", {
        attempts,
        transparentRetries,
        idempotent,
        policy: undefined,
      });
    expect([1, 2, 3, 4].map((n) => refused(n, n - 1).retried)).toEqual([true, true, true, false]);
    const after = decide("unavailable", "unknown", {
      idempotent: true,
      attempts: 3,
      transparentRetries: 2,
    });
    expect(after).toMatchObject({ retried: true, transparent: false, waitMs: 50 });
  });

  test("calls that ending connections refused are resent until their deadline, at no cost", () => {
    const turnedAway = (times: number, remainingMs: number) =>
      decide("unavailable", "not-executed", {
        attempts: times + 1,
        turnedAway: true,
        timesTurnedAway: times,
        refused: false,
        policy: undefined,
        budget: false,
        remainingMs,
      });
    expect([0, 1, 2, 20].map((times) => turnedAway(times, 1_001).waitMs)).toEqual([
      0, 50, 100, 1_000,
    ]);
    expect(turnedAway(20, 1_000).retried).toBe(false);
    const after = decide("unavailable", "unknown", {
      idempotent: true,
      attempts: 21,
      timesTurnedAway: 20,
    });
    expect(after).toMatchObject({ retried: true, waitMs: 50, turnedAway: false });
    expect(
      decide("unavailable", "unknown", { idempotent: true, attempts: 3, turnedAway: true }).retried,
    ).toBe(false);
  });

  test("a full server is not one that refuses calls of ending connections", () => {
    const full = { turnedAway: true, refused: true, retryAfterMs: 10, budget: false };
    expect(decide("resource_exhausted", "not-executed", full).retried).toBe(false);
    const withBudget = { ...full, budget: true };
    expect(decide("resource_exhausted", "not-executed", withBudget)).toMatchObject({
      retried: true,
      turnedAway: false,
      withdrawn: 1,
    });
  });

  test("uses the budget unless no server can have seen the call", () => {
    expect(decide("unavailable", "not-executed", { refused: false })).toMatchObject({
      retried: true,
      withdrawn: 0,
    });
    expect(decide("unavailable", "not-executed", { refused: true })).toMatchObject({
      retried: true,
      withdrawn: 1,
    });
    expect(decide("unavailable", "not-executed", { budget: false }).retried).toBe(false);
    expect(decide("unavailable", "unknown", { idempotent: true, budget: false }).retried).toBe(
      false,
    );
  });

  test("no token is used for a retry that is not made", () => {
    expect(decide("unavailable", "unknown", { idempotent: true, remainingMs: 40 })).toEqual({
      retried: false,
      withdrawn: 0,
    });
  });

  test("a refusal with a push-back is retried transparently after it", () => {
    expect(decide("resource_exhausted", "not-executed", { retryAfterMs: 130 })).toMatchObject({
      waitMs: 130,
      transparent: true,
    });
    expect(decide("resource_exhausted", "not-executed").retried).toBe(false);
  });

  test.each([
    ["longer than its own wait", 400, 400],
    ["shorter", 10, 50],
    ["none", undefined, 50],
    ["negative: do not retry", -1, undefined],
    ["no number: do not retry", Number.NaN, undefined],
    ["beyond the deadline", 10_001, undefined],
    ["for ever", Number.POSITIVE_INFINITY, undefined],
  ])("a push-back %s", (_what, retryAfterMs, waitMs) => {
    const push = retryAfterMs === undefined ? {} : { retryAfterMs };
    expect(decide("unavailable", "unknown", { idempotent: true, ...push }).waitMs).toBe(waitMs);
  });

  test("the first transparent retry is immediate, the next ones wait", () => {
    const waits = [0, 1, 2].map(
      (n) =>
        decide("unavailable", "not-executed", { attempts: n + 1, transparentRetries: n }).waitMs,
    );
    expect(waits).toEqual([0, 50, 100]);
  });
});

test("delays double up to the maximum, ±20 %", () => {
  const backoff = { firstMs: 50, factor: 2, mostMs: 1_000, jitter: 0.2 };
  for (let failures = 1; failures <= 8; failures++) {
    const middle = Math.min(1_000, 50 * 2 ** (failures - 1));
    let [least, most] = [Number.POSITIVE_INFINITY, 0];
    for (let draw = 0; draw < 10_000; draw++) {
      const wait = backoffMs(backoff, failures, Math.random);
      least = Math.min(least, wait);
      most = Math.max(most, wait);
    }
    expect(least).toBeGreaterThanOrEqual(middle * 0.8);
    expect(most).toBeLessThanOrEqual(middle * 1.2);
    expect(most - least).toBeGreaterThan(middle * 0.38);
  }
});

test("the policy: default, schema, client and call, each overriding the previous", () => {
  const method: AnyMethod = echo.echo as unknown as AnyMethod;
  const schema: AnyMethod = { ...method, retry: { ...defaultRetry, attempts: 4, on: ["aborted"] } };
  expect(retryPolicy(method, undefined, undefined)).toEqual(defaultRetry);
  expect(retryPolicy(schema, undefined, undefined)).toEqual(schema.retry);
  expect(retryPolicy(schema, { attempts: 2 }, undefined)).toEqual({ ...schema.retry, attempts: 2 });
  expect(retryPolicy(schema, { attempts: 2 }, { attempts: 5, backoffMs: 1 })).toMatchObject({
    attempts: 5,
    backoffMs: 1,
    on: ["aborted"],
  });
  expect(retryPolicy(schema, false, undefined)).toBeUndefined();
  expect(retryPolicy(schema, undefined, false)).toBeUndefined();
  expect(retryPolicy(schema, false, { attempts: 2 })).toMatchObject({ attempts: 2 });
});
