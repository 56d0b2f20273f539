import { setTimeout as sleep } from "node:timers/promises";
import { checkMembership } from "../check-membership.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import { MemberNetwork, type NetworkMember } from "./network.ts";

const count = 5;

async function joined(): Promise<MemberNetwork> {
  const network = await MemberNetwork.start(count);
  const { members } = network;
  const took = await until(() => network.sees(members, members, true), 20_000);
  if (took < Number.POSITIVE_INFINITY) return network;
  await network[Symbol.asyncDispose]();
  throw new Error("the members did not find each other within 20 s");
}

/** Members are killed one after the other. */
export async function membersKilled(length: Length): Promise<Figure> {
  const rounds = length === "long" ? 5 : 1;
  const known: number[] = [];
  let falseRemovals = 0;
  for (let round = 0; round < rounds; round++) {
    await using network = await joined();
    const killed = new Map<string, number>();
    const living = [...network.members];
    while (living.length > 1) {
      const victim = living.pop() as NetworkMember;
      killed.set(victim.id, victim.kill());
      await until(() => network.sees(living, [victim], false), 15_000);
    }
    const figures = checkMembership(network.observations, killed, 20_000);
    known.push(...figures.knownMs);
    falseRemovals += figures.falseRemovals;
  }
  known.sort((one, other) => one - other);
  const median = known[Math.floor(known.length / 2)] ?? Number.POSITIVE_INFINITY;
  const slowest = known.at(-1) ?? Number.POSITIVE_INFINITY;
  return {
    id: "G1",
    recipe: `SIGKILL ${known.length} members of clusters of ${count}, period 0.5 s`,
    found: `known to the last after ${median} ms median, ${slowest} ms at most; ${falseRemovals} others removed`,
    bound: "5000 ms median, 10000 ms at most; 0",
    holds: median <= 5_000 && slowest <= 10_000 && falseRemovals === 0,
  };
}

/** The cluster is split, and a member dies on one side meanwhile. */
export async function clusterSplit(length: Length): Promise<Figure> {
  const splitMs = length === "long" ? 60_000 : 0;
  await using network = await joined();
  const { members } = network;
  const [left, right] = [members.slice(0, 2), members.slice(2)];
  for (const one of left) {
    for (const other of right) {
      one.drop("-s", other.host);
      other.drop("-s", one.host);
    }
  }
  await sleep(splitMs);
  const areApart = () => network.sees(left, right, false) && network.sees(right, left, false);
  const splitAfterMs = await until(areApart, 30_000);
  const victim = right.pop() as NetworkMember;
  const killed = new Map([[victim.id, victim.kill()]]);
  await until(() => network.sees(right, [victim], false), 15_000);
  const living = [...left, ...right];
  for (const member of living) member.heal();
  const healedMs = await until(() => network.sees(living, living, true), 15_000);
  await sleep(5_000);
  const { resurrected } = checkMembership(network.observations, killed, 8_000);
  const isOneView = network.sees(living, living, true) && network.sees(living, [victim], false);
  return {
    id: "G2",
    recipe: `2 and 3 members cut off from each other, one of them killed meanwhile`,
    found: `two views after ${Math.round(splitAfterMs)} ms, one after ${Math.round(healedMs)} ms, ${resurrected} resurrected`,
    bound: "30000 ms, 10000 ms, 0",
    holds: splitAfterMs < 30_000 && isOneView && healedMs <= 10_000 && resurrected === 0,
  };
}

/** A member does not receive from one other, and then from all. */
export async function oneWayLoss(): Promise<Figure> {
  await using network = await joined();
  const { members } = network;
  const [deaf, other] = members as [NetworkMember, NetworkMember];
  const from = network.observations.length;
  deaf.drop("-s", other.host);
  await sleep(8_000);
  const removals = network.observations.slice(from).filter(({ present }) => !present).length;
  deaf.drop("-p", "udp");
  deaf.drop("-p", "tcp");
  await sleep(8_000);
  deaf.heal();
  const backMs = await until(() => network.sees(members, members, true), 15_000);
  return {
    id: "G3",
    recipe: "a member receives nothing from one other for 8 s, then nothing at all for 8 s",
    found: `${removals} removals, then all know all after ${Math.round(backMs)} ms`,
    bound: "0 removals, 10000 ms",
    holds: removals === 0 && backMs <= 10_000,
  };
}

/** A member is cut off from all others. */
export async function memberIsolated(length: Length): Promise<Figure> {
  const cutOffMs = length === "long" ? 60_000 : 10_000;
  await using network = await joined();
  const { members } = network;
  const [alone, ...others] = members as [NetworkMember, ...NetworkMember[]];
  const from = network.observations.length;
  for (const other of others) {
    alone.drop("-s", other.host);
    other.drop("-s", alone.host);
  }
  await sleep(cutOffMs);
  const state = alone.states.at(-1) ?? "healthy";
  const lost = network.observations
    .slice(from)
    .filter(({ observer, present }) => observer === alone.id && !present).length;
  const isGone = network.sees(others, [alone], false);
  for (const member of members) member.heal();
  const backMs = await until(() => network.sees(members, members, true), 15_000);
  const isHealthy = (await until(() => alone.states.at(-1) === "healthy", 5_000)) < 5_000;
  return {
    id: "G5",
    recipe: `a member is cut off from the four others for ${cutOffMs / 1_000} s`,
    found: `${lost} of its nodes lost, state ${state}; the others ${isGone ? "remove" : "keep"} it; one view ${Math.round(backMs)} ms after its return`,
    bound: "0 lost, degraded; removed; 10000 ms",
    holds: lost === 0 && state === "degraded" && isGone && backMs <= 10_000 && isHealthy,
  };
}

/** Each packet is lost with a probability. */
export async function packetsLost(length: Length): Promise<Figure> {
  const lossMs = length === "long" ? 60_000 : 20_000;
  await using network = await joined();
  const from = network.observations.length;
  for (const member of network.members) {
    member.drop("-m", "statistic", "--mode", "random", "--probability", "0.3");
  }
  await sleep(lossMs);
  const { falseRemovals } = checkMembership(network.observations.slice(from), new Map(), 0);
  return {
    id: "G4",
    recipe: `30 % of all packets lost for ${lossMs / 1_000} s`,
    found: `${falseRemovals} removals`,
    bound: "0",
    holds: falseRemovals === 0,
  };
}

/** The checker has to notice a member that is cut off without being killed. */
export async function cutOffPlanted(): Promise<Figure> {
  await using network = await joined();
  const [lost, ...others] = network.members as [NetworkMember, ...NetworkMember[]];
  lost.drop("-p", "udp");
  lost.drop("-p", "tcp");
  await until(() => network.sees(others, [lost], false), 20_000);
  const { falseRemovals } = checkMembership(network.observations, new Map(), 0);
  return {
    id: "G4-planted",
    recipe: "a member that lives is cut off, as if all of its packets were lost",
    found: `${falseRemovals} removals`,
    bound: "more than 0",
    holds: falseRemovals > 0,
  };
}
