import { describe, expect, test } from "vitest";
import { LatencyHistogram } from "./latency-histogram.ts";

const windowMs = 60_000;

describe("a latency histogram", () => {
  test("reports quantiles within 7 %, from microseconds to minutes", () => {
    for (const unitMs of [0.01, 1, 37, 1_000]) {
      const histogram = new LatencyHistogram(windowMs, 0);
      for (let each = 1; each <= 1_000; each++) histogram.add(each * unitMs, 0);
      const { count, meanMs, p50Ms, p90Ms, p99Ms, maxMs } = histogram.summary(0);
      expect([count, maxMs / unitMs]).toEqual([1_000, 1_000]);
      expect(meanMs / unitMs).toBeCloseTo(500.5);
      for (const [quantile, exact] of [
        [p50Ms, 500],
        [p90Ms, 900],
        [p99Ms, 990],
      ] as const) {
        expect(Math.abs(quantile / unitMs / exact - 1), `${exact} × ${unitMs}`).toBeLessThan(0.07);
      }
    }
  });

  test("has no quantiles when empty, and accepts any latency", () => {
    const histogram = new LatencyHistogram(windowMs, 0);
    const nothing = { count: 0, meanMs: 0, p50Ms: 0, p90Ms: 0, p99Ms: 0, maxMs: 0 };
    expect(histogram.summary(0)).toEqual(nothing);
    for (const ms of [0, 1e-9, 2 ** 31, 1e12]) histogram.add(ms, 0);
    expect(histogram.summary(0)).toMatchObject({ count: 4, maxMs: 1e12 });
  });

  test("drops values older than two windows, and none younger than one", () => {
    const histogram = new LatencyHistogram(windowMs, 0);
    histogram.add(5, 1);
    histogram.add(7, windowMs - 1);
    expect(histogram.summary(windowMs + 1).count).toBe(2);
    histogram.add(9, windowMs + 2);
    expect(histogram.summary(2 * windowMs).count).toBe(3);
    expect(histogram.summary(2 * windowMs + 2)).toMatchObject({ count: 1, maxMs: 9 });
    expect(histogram.summary(10 * windowMs).count).toBe(0);
  });
});
