import { describe, expect, test } from "vitest";
import { gossipProfiles } from "../../runtime/src/registry/gossip/timing.ts";
import { long } from "../support/long.ts";
import { isOneView, living } from "./scenarios.ts";
import { SimulatedCluster, type SimulationOptions } from "./simulated-cluster.ts";

const cutOffMs = 120_000;

function assembled(members: number, options: Partial<SimulationOptions> = {}): SimulatedCluster {
  const cluster = new SimulatedCluster({ timing: gossipProfiles.lan, ...options });
  cluster.assemble(members);
  for (const { member } of cluster.nodes) member.write(`greeter/${member.id}`, Buffer.from("x"));
  cluster.run(3_000);
  return cluster;
}

/** How many others the first member knows with their records. */
function knownToFirst(cluster: SimulatedCluster): number {
  const { member } = cluster.nodes[0]!;
  return cluster.nodes.filter(
    (it) => it.index !== 0 && member.records.versionOf(it.member.id) === 1,
  ).length;
}

const isHolding = (cluster: SimulatedCluster) => cluster.nodes[0]!.member.membership.isHolding;

type Passes = SimulatedCluster["passes"];
const cuts: readonly [string, Passes][] = [
  ["is cut off", (from, to) => from !== 0 && to !== 0],
  ["receives nothing", (_from, to) => to !== 0],
];

describe("a member that hears no other", { timeout: 120_000 }, () => {
  describe.each(cuts)("because it %s", (_what, passes) => {
    test.each(long ? [3, 4, 10, 60] : [3, 4, 10])(
      "keeps the nodes of all others, of %i members",
      (members) => {
        for (const seed of [1, 2, 3]) {
          const cluster = assembled(members, { seed });
          cluster.passes = passes;
          cluster.run(cutOffMs);
          expect(knownToFirst(cluster)).toBe(members - 1);
          expect(isHolding(cluster)).toBe(true);
          // The others see its death.
          expect(cluster.nodes[1]?.member.membership.live.size).toBe(members - 2);
          cluster.passes = () => true;
          expect(cluster.until(() => isOneView(cluster), 10_000)).toBe(true);
          expect(isHolding(cluster)).toBe(false);
        }
      },
    );
  });

  test("finds out who died meanwhile", () => {
    const cluster = assembled(10);
    cluster.passes = cuts[0]![1];
    cluster.run(20_000);
    for (const index of [4, 5]) cluster.kill(cluster.nodes[index]!, { machine: true });
    cluster.run(20_000);
    expect(knownToFirst(cluster)).toBe(9);
    cluster.passes = () => true;
    expect(cluster.until(() => isOneView(cluster), 10_000)).toBe(true);
    expect(knownToFirst(cluster)).toBe(7);
  });

  test("keeps the nodes of other machines if it can send and not be heard", () => {
    const cluster = assembled(10);
    cluster.passes = (from) => from !== 0;
    cluster.run(cutOffMs);
    expect(knownToFirst(cluster)).toBe(9);
  });

  test("notices the death of the only other one", () => {
    const cluster = assembled(2);
    cluster.kill(cluster.nodes[1]!, { machine: true });
    expect(cluster.until(() => isOneView(cluster), 5_000)).toBe(true);
    expect(isHolding(cluster)).toBe(false);
  });

  test("notices the deaths of two others, one after the other", () => {
    const cluster = assembled(3);
    for (const index of [1, 2]) {
      cluster.kill(cluster.nodes[index]!, { machine: true });
      expect(cluster.until(() => isOneView(cluster), 5_000)).toBe(true);
    }
  });

  test("notices that all others ended, on machines that run", () => {
    const cluster = assembled(3);
    for (const index of [1, 2]) cluster.kill(cluster.nodes[index]!);
    expect(cluster.until(() => isOneView(cluster), 8_000)).toBe(true);
  });

  test("notices that all others ended on its own machine", () => {
    const cluster = assembled(4, { oneMachine: true });
    for (const index of [1, 2, 3]) cluster.kill(cluster.nodes[index]!, { machine: true });
    expect(cluster.until(() => isOneView(cluster), 20_000)).toBe(true);
    expect(isHolding(cluster)).toBe(false);
  });

  test("holds the nodes of two machines that end together, until it hears another one", () => {
    const cluster = assembled(3);
    for (const index of [1, 2]) cluster.kill(cluster.nodes[index]!, { machine: true });
    cluster.run(30_000);
    expect(knownToFirst(cluster)).toBe(2);
    expect(isHolding(cluster)).toBe(true);
    const late = cluster.add();
    late.member.join(cluster.nodes[0]!.member.membership.self, () => {});
    expect(cluster.until(() => isOneView(cluster), 10_000)).toBe(true);
    expect(living(cluster)).toHaveLength(2);
  });
});
