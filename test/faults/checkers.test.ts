import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkDelivery } from "./check-delivery.ts";
import { checkLocks } from "./check-locks.ts";
import { Ledger, readLedgers } from "./ledger.ts";

const ids = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => `e${from + index}`);

describe("the delivery checker", () => {
  const published = {
    acked: new Set(ids(0, 100)),
    unsure: new Set(ids(100, 110)),
    refused: new Set(ids(110, 120)),
  };
  const sound = { acked: 100, lost: 0, unknown: 0, duplicates: 0, unsure: 0, contradicted: 0 };

  test("finds nothing where nothing is wrong", () => {
    expect(checkDelivery(published, ids(0, 100).reverse())).toEqual(sound);
  });
  test.each<[what: string, handled: string[], finding: object]>([
    ["a lost event", ids(1, 100), { lost: 1 }],
    ["an event out of nowhere", [...ids(0, 100), "ghost"], { unknown: 1 }],
    ["an event that came three times", [...ids(0, 100), "e5", "e5"], { duplicates: 2 }],
    ["an event that may have been published", ids(0, 101), { unsure: 1 }],
    ["an event that was said not to be published", [...ids(0, 100), "e115"], { contradicted: 1 }],
  ])("finds %s", (_what, handled, finding) => {
    expect(checkDelivery(published, handled)).toEqual({ ...sound, ...finding });
  });
});

describe("the lock checker", () => {
  const grants = [1, 2, 3].map((token) => ({ token }));
  const write = (version: number, token: number) => ({ version, token });

  test("finds nothing where nothing is wrong", () => {
    const writes = [write(3, 2), write(1, 1), write(2, 1), write(9, 3)];
    expect(checkLocks(grants, writes)).toEqual({ grants: 3, repeatedTokens: 0, staleWrites: 0 });
  });
  test("finds a write of a holder that had lost the lock", () => {
    const writes = [write(1, 1), write(2, 2), write(3, 1), write(4, 2), write(5, 1)];
    expect(checkLocks(grants, writes).staleWrites).toBe(2);
  });
  test("finds a token that two holders had", () => {
    expect(checkLocks([...grants, { token: 2 }], []).repeatedTokens).toBe(1);
  });
});

test("a ledger keeps whole lines, and a torn one never happened", () => {
  const directory = mkdtempSync(join(tmpdir(), "micro-ledger-"));
  const ledger = new Ledger(join(directory, "a.ledger"));
  ledger.write({ id: "one" });
  ledger.write({ id: "two" });
  ledger.close();
  writeFileSync(join(directory, "b.ledger"), '{"id":"three"}\n{"id":"fo');
  expect(readLedgers(directory)).toEqual([{ id: "one" }, { id: "two" }, { id: "three" }]);
  rmSync(directory, { recursive: true });
});
