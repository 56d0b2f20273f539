import { describe, expect, test } from "vitest";
import { gossipProfiles } from "../../runtime/src/registry/gossip/timing.ts";
import { inCi, long } from "../support/long.ts";
import { blockMembers, isOneView, killMembers, living, measureTraffic } from "./scenarios.ts";
import { SimulatedCluster } from "./simulated-cluster.ts";

/** Virtual time is exact, so these bounds do not depend on the machine; its speed does. */
const longMs = 300_000;
const timing = gossipProfiles.lan;

function assembled(members: number, seed = 1): SimulatedCluster {
  const cluster = new SimulatedCluster({ timing, seed });
  cluster.assemble(members);
  cluster.run(1_000);
  return cluster;
}

// A thousand take half a minute of computation; without --ci or --long there are less.
const many = inCi ? 1_000 : 100;

describe(`${many} members`, () => {
  test("know every death within 5 s by default, at 10 % loss, and no other", {
    timeout: longMs,
  }, () => {
    const { knownMs, falseDeaths } = killMembers("lan", { members: many, kills: 3, loss: 0.1 });
    expect(Math.max(...knownMs)).toBeLessThan(5_000);
    expect(falseDeaths).toBe(0);
  });

  test("send no more than a tenth of them", { timeout: longMs }, () => {
    const few = measureTraffic("lan", many / 10);
    const all = measureTraffic("lan", many);
    expect(all.datagramsPerSecond / few.datagramsPerSecond).toBeLessThan(1.05);
    expect(all.bytesPerSecond / few.bytesPerSecond).toBeLessThan(1.05);
  });
});

describe("failure detection", () => {
  test("is as fast with the profile lan as its parameters allow", () => {
    const { knownMs, falseDeaths } = killMembers("lan", { members: 30, kills: 8, loss: 0 });
    const sorted = [...knownMs].sort((one, other) => one - other);
    expect(sorted[4]).toBeLessThan(5_000);
    expect(sorted.at(-1)).toBeLessThan(10_000);
    expect(falseDeaths).toBe(0);
  });

  test("removes no member at 30 % loss", { timeout: longMs }, () => {
    const cluster = assembled(30);
    cluster.loss = 0.3;
    cluster.run(60_000);
    expect(cluster.sightings).toEqual([]);
  });

  test("does not take blocked members' word that others are dead", { timeout: longMs }, () => {
    expect(blockMembers(true, { seconds: long ? 40 : 20 })).toBe(0);
  });

  test("takes it without Lifeguard", { timeout: longMs }, () => {
    expect(blockMembers(false, { seconds: long ? 40 : 20 })).toBeGreaterThan(0);
  });

  test("keeps a member that one other cannot reach", () => {
    const cluster = assembled(10);
    cluster.passes = (from, to) => !(from === 0 && to === 1);
    cluster.run(30_000);
    expect(cluster.sightings).toEqual([]);
  });

  test("takes a member back that could not receive", () => {
    const cluster = assembled(10);
    cluster.passes = (_from, to) => to !== 0;
    cluster.run(15_000);
    cluster.passes = () => true;
    expect(cluster.until(() => isOneView(cluster), 10_000)).toBe(true);
  });
});

describe("the membership", () => {
  test("is the same for all after a hundred joined in a second", { timeout: longMs }, () => {
    const cluster = new SimulatedCluster({ timing });
    for (let index = 0; index < 100; index++) {
      cluster.add();
      cluster.run(10);
    }
    expect(cluster.until(() => isOneView(cluster), 3_000)).toBe(true);
  });

  test("heals after a partition, and keeps the dead dead", () => {
    const cluster = assembled(30);
    cluster.passes = (from, to) => from % 2 === to % 2;
    cluster.run(15_000);
    const dead = [4, 5].map((index) => cluster.nodes[index]!);
    for (const node of dead) cluster.kill(node);
    cluster.run(45_000);
    expect(cluster.nodes[0]?.member.membership.live.size).toBe(13);
    const healedAt = cluster.now;
    cluster.passes = () => true;
    expect(cluster.until(() => isOneView(cluster), 10_000)).toBe(true);
    cluster.run(30_000);
    expect(isOneView(cluster)).toBe(true);
    const risen = cluster.sightings.filter(
      ({ at, live, subject }) => at > healedAt && live && (subject === 4 || subject === 5),
    );
    expect(risen).toEqual([]);
  });

  test("heals after a partition of twenty minutes", { timeout: longMs }, () => {
    const cluster = assembled(6);
    cluster.passes = (from, to) => from % 2 === to % 2;
    cluster.run(20 * 60_000);
    cluster.passes = () => true;
    expect(cluster.until(() => isOneView(cluster), 10_000)).toBe(true);
  });

  test("forgets at once who leaves", () => {
    const cluster = assembled(20);
    const [leaver] = cluster.nodes;
    leaver?.member.leave();
    cluster.run(1);
    if (leaver !== undefined) cluster.kill(leaver);
    expect(cluster.until(() => isOneView(cluster), 1_000)).toBe(true);
  });

  test("changes alike in two runs of the same seed", () => {
    const [one, other] = [assembled(20, 5), assembled(20, 5)];
    for (const cluster of [one, other]) {
      cluster.loss = 0.2;
      cluster.kill(cluster.nodes[3]!);
      cluster.run(10_000);
    }
    expect(one.sightings.length).toBeGreaterThan(0);
    expect(one.sightings).toEqual(other.sightings);
  });
});

describe("records", () => {
  const versionsOf = (cluster: SimulatedCluster, owner: number) =>
    living(cluster).map(({ member }) => member.records.versionOf(cluster.nodes[owner]!.member.id));

  test("of 64 KiB are everywhere within 2 s", () => {
    const cluster = assembled(30);
    cluster.nodes[3]!.member.write("greeter/a", Buffer.alloc(64 * 1024, 7));
    const everywhere = () => versionsOf(cluster, 3).every((version) => version === 1);
    expect(cluster.until(everywhere, 2_000)).toBe(true);
    expect(
      cluster.nodes[9]?.member.records.get(cluster.nodes[3]!.member.id)?.bytes,
    ).toBeGreaterThan(65_536);
  });

  test("of all reach a member that joins", () => {
    const cluster = assembled(20);
    for (const { member } of cluster.nodes) member.write(`greeter/${member.id}`, Buffer.from("x"));
    cluster.run(3_000);
    const { member } = cluster.add();
    const isComplete = () =>
      cluster.nodes.slice(0, 20).every((it) => member.records.versionOf(it.member.id) === 1);
    expect(cluster.until(isComplete, 1_000)).toBe(true);
  });

  test("arrive in spite of loss, and go with their owner", () => {
    const cluster = assembled(20);
    cluster.loss = 0.3;
    for (let change = 0; change < 50; change++) {
      cluster.nodes[change % 5]!.member.write(`greeter/${change % 7}`, Buffer.from(`${change}`));
      cluster.run(100);
    }
    const versions = () => [0, 1, 2, 3, 4].flatMap((owner) => versionsOf(cluster, owner));
    expect(cluster.until(() => versions().every((version) => version === 10), 60_000)).toBe(true);
    cluster.kill(cluster.nodes[0]!);
    expect(cluster.until(() => isOneView(cluster), 20_000)).toBe(true);
    expect(versionsOf(cluster, 0).every((version) => version === 0)).toBe(true);
  });
});
