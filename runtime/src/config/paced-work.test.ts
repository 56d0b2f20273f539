import { expect, test, vi } from "vitest";
import { PacedWork } from "./paced-work.ts";

test("repeatedly requested work runs at once, and then for a tenth of the time", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  try {
    const doneAt: number[] = [];
    const begun = performance.now();
    const work = new PacedWork(() => {
      doneAt.push(performance.now() - begun);
      vi.setSystemTime(Date.now());
      // The work takes 20 ms.
      vi.advanceTimersByTime(20);
    });
    for (let at = 0; at < 1_000; at++) {
      work.request();
      vi.advanceTimersByTime(1);
    }
    expect(doneAt[0]).toBeLessThanOrEqual(1);
    expect(doneAt.length).toBeGreaterThan(3);
    expect(doneAt.length).toBeLessThanOrEqual(7);
    const before = doneAt.length;
    work.request();
    work.cancel();
    vi.advanceTimersByTime(1_000);
    expect(doneAt.length).toBe(before);
  } finally {
    vi.useRealTimers();
  }
});
