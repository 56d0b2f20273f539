import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkAttempts } from "./check-attempts.ts";
import { checkDelivery } from "./check-delivery.ts";
import { checkLeaders, type LeaderEntry } from "./check-leaders.ts";
import { checkLocks } from "./check-locks.ts";
import { checkMembership, type Observation } from "./check-membership.ts";
import { countInversions } from "./check-order.ts";
import { type AttemptedWrite, checkOutcomes } from "./check-outcomes.ts";
import { checkSyncedAcks } from "./check-sync.ts";
import { checkTerms } from "./check-terms.ts";
import { checkWatch, type WatchEvent } from "./check-watch.ts";
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

  test("finds nothing in a correct run", () => {
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

  test("finds nothing in a correct run", () => {
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

describe("the outcome checker", () => {
  const sound: readonly AttemptedWrite[] = [
    { told: "executed", happened: true, laterStays: true },
    { told: "unknown", happened: true, laterStays: true },
    { told: "unknown", happened: false, laterStays: true },
    { told: "not-executed", happened: false, laterStays: true },
  ];
  const none = { unknown: 2, unknownHappened: 1, contradicted: 0, missing: 0, ghosts: 0 };

  test("finds nothing in a correct run", () => {
    expect(checkOutcomes(sound)).toEqual(none);
  });
  test.each<[what: string, write: AttemptedWrite, finding: object]>([
    [
      "a write that happened and was reported as not executed",
      { told: "not-executed", happened: true, laterStays: true },
      { contradicted: 1 },
    ],
    [
      "a write that was reported and did not happen",
      { told: "executed", happened: false, laterStays: true },
      { missing: 1 },
    ],
    [
      "a write that happened again after a later one",
      { told: "executed", happened: true, laterStays: false },
      { ghosts: 1 },
    ],
  ])("finds %s", (_what, write, finding) => {
    expect(checkOutcomes([...sound, write])).toEqual({ ...none, ...finding });
  });
});

describe("the order checker", () => {
  const row = (...sequences: number[]) => sequences.map((sequence) => ({ key: "k", sequence }));

  test("finds nothing if keys keep their order, including repetitions of the last", () => {
    const other = { key: "other", sequence: 0 };
    expect(countInversions([...row(1, 2, 2), other, ...row(3)])).toBe(0);
  });
  test("finds an event that was handled after a later one of its key", () => {
    expect(countInversions(row(1, 3, 2, 4, 1))).toBe(2);
  });
});

describe("the attempts checker", () => {
  const check = (tried: string[], buried: string[]) =>
    checkAttempts(new Set(["p"]), new Set(["a", "b"]), 3, tried, buried);
  const sound = { wronglyTried: 0, wronglyBuried: 0, wronglyHandled: 0 };

  test("finds nothing in a correct run", () => {
    expect(check(["p", "a", "p", "b", "p"], ["p"])).toEqual(sound);
  });
  test.each<[what: string, tried: string[], buried: string[], finding: object]>([
    ["poison that was tried too often", ["p", "p", "p", "p", "a", "b"], ["p"], { wronglyTried: 1 }],
    ["poison that was dropped early", ["p", "p", "a", "b"], ["p"], { wronglyTried: 1 }],
    ["poison that vanished", ["p", "p", "p", "a", "b"], [], { wronglyBuried: 1 }],
    ["poison that was buried twice", ["p", "p", "p", "a", "b"], ["p", "p"], { wronglyBuried: 1 }],
    [
      "a good event among dead letters",
      ["p", "p", "p", "a", "b"],
      ["p", "a"],
      { wronglyBuried: 1 },
    ],
    ["a good event that was lost", ["p", "p", "p", "a"], ["p"], { wronglyHandled: 1 }],
    ["one that was handled twice", ["p", "p", "p", "a", "b", "b"], ["p"], { wronglyHandled: 1 }],
  ])("finds %s", (_what, tried, buried, finding) => {
    expect(check(tried, buried)).toEqual({ ...sound, ...finding });
  });
});

describe("the leaders checker", () => {
  const entry = (
    kind: LeaderEntry["kind"],
    epoch: number,
    candidate: number,
    at: number,
  ): LeaderEntry => ({ kind, epoch, candidate, at });
  const sound = [
    entry("leads", 1, 10, 0),
    entry("acts", 1, 10, 5),
    entry("leads", 2, 11, 20),
    entry("told", 1, 10, 15),
    entry("acts", 2, 11, 25),
    entry("leads", 7, 10, 40),
    entry("acts", 7, 10, 45),
  ];
  const figures = { terms: 3, sharedEpochs: 0, staleEpochs: 0, doubleLeaders: 0, toldLate: 0 };

  test("finds nothing if leaders follow each other, also repeatedly", () => {
    expect(checkLeaders(sound)).toEqual(figures);
  });
  test.each<[what: string, planted: LeaderEntry, finding: object]>([
    ["a leader that keeps acting", entry("acts", 1, 10, 20), { doubleLeaders: 1 }],
    ["one that keeps acting after two others", entry("acts", 1, 10, 41), { doubleLeaders: 1 }],
    ["an epoch that two have", entry("acts", 2, 12, 26), { sharedEpochs: 1 }],
    [
      "an epoch that was there before",
      entry("leads", 2, 11, 50),
      { terms: 4, staleEpochs: 1, doubleLeaders: 1 },
    ],
    ["a leader that is notified after another leads", entry("told", 2, 11, 60), { toldLate: 1 }],
  ])("finds %s", (_what, planted, finding) => {
    expect(checkLeaders([...sound, planted])).toEqual({ ...figures, ...finding });
  });
});

describe("the terms checker", () => {
  const term = (token: number, from: number, to: number) => ({ token, from, to });

  test("finds nothing if terms follow each other, and reports the shortest gap", () => {
    const figures = checkTerms([term(2, 30, 40), term(1, 0, 10), term(3, 45, 50)]);
    expect(figures).toEqual({ terms: 3, overlaps: 0, staleTokens: 0, shortestGapMs: 5 });
  });
  test("finds two holders at once, also with the second inside a long term", () => {
    expect(checkTerms([term(1, 0, 100), term(2, 10, 20), term(3, 50, 60)]).overlaps).toBe(2);
  });
  test("finds a token that does not grow", () => {
    expect(checkTerms([term(2, 0, 10), term(2, 20, 30), term(1, 40, 50)]).staleTokens).toBe(2);
  });
});

describe("the watch checker", () => {
  const written = new Map([
    ["a", new Set([1, 2, 3])],
    ["b", new Set([1])],
  ]);
  const truth = new Map([["a", 3]]);
  const good: readonly WatchEvent[] = [
    { type: "snapshot", items: new Map([["a", 1]]) },
    { type: "added", id: "b", revision: 1 },
    { type: "updated", id: "a", revision: 3 },
    { type: "removed", id: "b", revision: 1 },
  ];
  const sound = { inconsistent: 0, backwards: 0, invented: 0, different: 0 };

  test("finds nothing in a correct run", () => {
    expect(checkWatch(good, written, truth)).toEqual({ events: 4, snapshots: 1, ...sound });
  });
  test.each<[what: string, events: readonly WatchEvent[], finding: object]>([
    ["a watch without a first snapshot", good.slice(1), { inconsistent: 2 }],
    ["a lost removal", good.slice(0, 3), { different: 1 }],
    ["a lost update", [...good.slice(0, 2), ...good.slice(3)], { different: 1 }],
    [
      "an addition of what is there",
      [...good, { type: "added", id: "a", revision: 3 }],
      { inconsistent: 1 },
    ],
    ["a removal of what is not there", [...good, good[3]!], { inconsistent: 1 }],
    [
      "an item that went back",
      [...good, { type: "updated", id: "a", revision: 2 }],
      { backwards: 1, different: 1 },
    ],
    [
      "a change that was never made",
      [...good, { type: "updated", id: "a", revision: 9 }],
      { invented: 1, different: 1 },
    ],
  ])("finds %s", (_what, events, finding) => {
    expect(checkWatch(events, written, truth)).toMatchObject({
      ...sound,
      ...finding,
    });
  });
});

describe("the sync checker", () => {
  const check = (...calls: string[]) =>
    checkSyncedAcks(calls.join("\n"), (text) => {
      const [, event] = /ack (\d+)/.exec(text) ?? [];
      return event === undefined ? undefined : Number(event);
    });
  const ack = '11 writev(8, [{iov_base="ack 1"}], 1) = 5';

  test("finds nothing if each acknowledgement follows a sync of its event", () => {
    const written = '10 pwrite64(9, "<<1>>", 5, 0) = 5';
    expect(check(written, "10 fsync(9) = 0", ack)).toEqual({ acks: 1, unsynced: 0 });
    const apart = ["12 fsync(9 <unfinished ...>", "12 <... fsync resumed>)           = 0"];
    expect(check(written, ...apart, ack)).toEqual({ acks: 1, unsynced: 0 });
  });
  test.each<[what: string, calls: string[]]>([
    ["an acknowledgement without a sync", ['10 write(9, "<<1>>", 5) = 5', ack]],
    ["a sync that began before", ["10 fsync(9) = 0", '10 write(9, "<<1>>", 5) = 5', ack]],
    [
      "a sync that has not ended",
      ['10 write(9, "<<1>>", 5) = 5', "12 fsync(9 <unfinished ...>", ack],
    ],
    ["a sync that failed", ['10 write(9, "<<1>>", 5) = 5', "12 fsync(9) = -1 EIO", ack]],
  ])("finds %s", (_what, calls) => {
    expect(check(...calls)).toEqual({ acks: 1, unsynced: 1 });
  });
});

test("a ledger keeps complete lines and ignores a torn one", () => {
  const directory = mkdtempSync(join(tmpdir(), "micro-ledger-"));
  const ledger = new Ledger(join(directory, "a.ledger"));
  ledger.write({ id: "one" });
  ledger.write({ id: "two" });
  ledger.close();
  writeFileSync(join(directory, "b.ledger"), '{"id":"three"}\n{"id":"fo');
  expect(readLedgers(directory)).toEqual([{ id: "one" }, { id: "two" }, { id: "three" }]);
  rmSync(directory, { recursive: true });
});

describe("the membership checker", () => {
  const seen = (at: number, observer: string, subject: string, present: boolean): Observation => ({
    at,
    observer,
    subject,
    present,
  });
  const sound = [
    ...["b", "c"].map((subject) => seen(0, "a", subject, true)),
    ...["a", "c"].map((subject) => seen(0, "b", subject, true)),
    seen(103, "a", "c", false),
    seen(104, "b", "c", false),
  ];
  const killed = new Map([["c", 100]]);

  test("finds nothing in a correct run", () => {
    const figures = { falseRemovals: 0, resurrected: 0, knownMs: [4] };
    expect(checkMembership(sound, killed, 10)).toEqual(figures);
  });
  test("finds a removal of a member that lives", () => {
    const removed = [...sound, seen(50, "a", "b", false)];
    expect(checkMembership(removed, killed, 10).falseRemovals).toBe(1);
  });
  test("finds a dead member that came back", () => {
    const risen = [...sound, seen(120, "b", "c", true)];
    const figures = { resurrected: 1, knownMs: [Number.POSITIVE_INFINITY] };
    expect(checkMembership(risen, killed, 10)).toMatchObject(figures);
  });
  test("finds a survivor that never knew", () => {
    const unknown = sound.slice(0, -1);
    expect(checkMembership(unknown, killed, 10).knownMs).toEqual([Number.POSITIVE_INFINITY]);
  });
});
