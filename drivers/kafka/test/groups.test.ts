import { describe, expect, test } from "vitest";
import { assign, decodeMember, encodeMembership, type Member } from "../src/broker/assignment.ts";
import { PartitionProgress } from "../src/broker/partition-progress.ts";

describe("the progress of a group in a partition", () => {
  test("is before the first event that is not done, and says which later ones are", () => {
    const progress = new PartitionProgress(0, 10, "");
    const taken = [10, 11, 12, 13].map((offset) => progress.take(offset));
    expect([progress.next, progress.text()]).toEqual([10, ""]);
    for (const index of [1, 2]) progress.done(taken[index]!);
    expect([progress.next, progress.text()]).toEqual([10, "1:0,-*2"]);
    taken[0]!.attempts = 3;
    taken[3]!.attempts = 40;
    expect(progress.text()).toBe("1:3,-*2,14");
    progress.done(taken[0]!);
    expect([progress.next, progress.text()]).toEqual([13, "1:14"]);
    progress.done(taken[3]!);
    expect([progress.next, progress.text()]).toEqual([14, ""]);
  });

  test("goes on with another member, which does not take again what is done", () => {
    const progress = new PartitionProgress(0, 10, "1:2,-*2,1");
    expect(progress.take(10)).toMatchObject({ attempts: 2 });
    // The others stay known although they were not taken yet.
    expect([progress.next, progress.text()]).toEqual([10, "1:2,-*2,1"]);
    expect(progress.take(11)).toBeUndefined();
    expect(progress.take(12)).toBeUndefined();
    expect(progress.take(13)).toMatchObject({ attempts: 1 });
    expect(progress.take(14)).toMatchObject({ attempts: 0 });
    expect([progress.next, progress.text()]).toEqual([10, "1:2,-*2,1"]);
  });

  test("counts offsets that have no event as done", () => {
    const progress = new PartitionProgress(0, 0, "");
    const [first, second] = [progress.take(5)!, progress.take(9)!];
    second.attempts = 1;
    expect([progress.next, progress.text()]).toEqual([5, "1:0,-*3,1"]);
    progress.done(first);
    expect([progress.next, progress.text()]).toEqual([9, "1:1"]);
  });

  test("fits into what brokers accept", () => {
    const progress = new PartitionProgress(0, 0, "");
    for (let offset = 0; offset < 10_000; offset++) {
      const taken = progress.take(offset)!;
      if (offset % 2 === 1) progress.done(taken);
    }
    expect(progress.text().length).toBeLessThan(4_096);
    expect(new PartitionProgress(0, 0, progress.text()).take(1)).toBeUndefined();
  });

  test.each(["2:1", "1:", "1:x y", "1:-*9999999", "1:1*0,", "1:-*999999"])(
    "takes the text %j of another program for none",
    (text) => {
      expect(new PartitionProgress(0, 0, text).take(0)).toMatchObject({ attempts: 0 });
    },
  );
});

describe("the assignment of partitions", () => {
  const member = (id: string, owned: number[] = [], generation = 1): Member => ({
    id,
    isReading: true,
    owned,
    generation,
  });
  const all = [0, 1, 2, 3, 4, 5, 6, 7];

  test("gives a new member nothing before another one has released it", () => {
    const first = assign([member("a", all), member("b", [], -1)], 8);
    expect([first.get("a"), first.get("b")]).toEqual([[0, 1, 2, 3], []]);
    const second = assign([member("a", [0, 1, 2, 3]), member("b", [])], 8);
    expect([second.get("a"), second.get("b")]).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
    ]);
    expect(assign([member("a", [0, 1, 2, 3]), member("b", [4, 5, 6, 7])], 8)).toEqual(second);
  });

  test("moves the partitions that a member is about to release", () => {
    const given = assign([member("a", [4, 5, 6, 7, 0, 1, 2, 3]), member("b")], 8);
    expect(given.get("a")).toEqual([4, 5, 6, 7]);
  });

  test("gives nothing to a member that is closing, and believes the latest generation", () => {
    const closing = { ...member("a", [0, 1]), isReading: false };
    const given = assign([closing, member("b", [2, 3])], 4);
    expect([given.get("a"), given.get("b")]).toEqual([[], [2, 3]]);
    const late = assign([member("a", [0, 1, 2, 3], 1), member("b", [0, 1], 2)], 4);
    expect([late.get("a"), late.get("b")]).toEqual([
      [2, 3],
      [0, 1],
    ]);
  });

  test("leaves members beyond the number of partitions without one", () => {
    const given = assign(
      ["a", "b", "c"].map((id) => member(id)),
      2,
    );
    expect([...given.values()].map(({ length }) => length).sort()).toEqual([0, 1, 1]);
  });

  test("reads what members report, and takes garbage for nothing", () => {
    const report = { isReading: true, owned: [3, 1], generation: 7 };
    const bytes = encodeMembership("t", report);
    expect(decodeMember("t", "a", bytes)).toEqual({ id: "a", ...report });
    const nothing = { id: "a", isReading: false, owned: [], generation: -1 };
    expect(decodeMember("other", "a", bytes)).toMatchObject({ isReading: false, owned: [] });
    for (const bad of [null, Buffer.alloc(0), Buffer.alloc(5, 255), bytes.subarray(0, 9)]) {
      expect(decodeMember("t", "a", bad)).toEqual(nothing);
    }
  });
});
