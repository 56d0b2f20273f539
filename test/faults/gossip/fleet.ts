import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { checkMembership } from "../check-membership.ts";
import type { Figure } from "../figure.ts";
import { until } from "../until.ts";
import { MemberNetwork, type NetworkMember, type NetworkOptions } from "./network.ts";

const count = 30;

async function fleet(options: NetworkOptions = {}): Promise<MemberNetwork> {
  const network = await MemberNetwork.start(count, options);
  const { members } = network;
  if (options.unregistered === true) return network;
  const took = await until(() => network.sees(members, members, true), 60_000, 100);
  // What happened while thirty processes started is over.
  await sleep(5_000);
  if (took < Number.POSITIVE_INFINITY) return network;
  await network[Symbol.asyncDispose]();
  throw new Error(`the ${count} members did not find each other within 60 s`);
}

/** Members are killed one after the other. */
export async function fleetKilled(): Promise<Figure> {
  await using network = await fleet();
  const killed = new Map<string, number>();
  const living = [...network.members];
  for (let kill = 0; kill < 10; kill++) {
    const victim = living.pop() as NetworkMember;
    killed.set(victim.id, victim.kill());
    await until(() => network.sees(living, [victim], false), 20_000);
  }
  const { knownMs, falseRemovals } = checkMembership(network.observations, killed, 20_000);
  const sorted = [...knownMs].sort((one, other) => one - other);
  const median = sorted[5] ?? Number.POSITIVE_INFINITY;
  const slowest = sorted.at(-1) ?? Number.POSITIVE_INFINITY;
  return {
    id: "G6",
    recipe: `SIGKILL 10 of ${count} members`,
    found: `known to the last after ${median} ms median, ${slowest} ms at most; ${falseRemovals} others removed`,
    bound: "5000 ms median, 10000 ms at most; 0",
    holds: median <= 5_000 && slowest <= 10_000 && falseRemovals === 0,
  };
}

async function disturb(network: MemberNetwork, forMs: number): Promise<number> {
  const from = network.observations.length;
  const end = performance.now() + forMs;
  for (let turn = 0; performance.now() < end; turn++) {
    for (const [index, member] of network.members.entries()) {
      const place = (index + turn) % 5;
      if (place === 0) member.pause(1_000);
      else if (place === 1) member.block(800);
    }
    await sleep(5_000);
  }
  return network.observations.slice(from).filter(({ present }) => !present).length;
}

/** Processes are stopped, and others blocked, again and again. */
export async function fleetStalls(): Promise<Figure> {
  await using network = await fleet();
  const removals = await disturb(network, 180_000);
  return {
    id: "G7",
    recipe: `every 5 s, 6 of ${count} processes are stopped for 1 s and 6 blocked for 800 ms, for 3 min`,
    found: `${removals} removals`,
    bound: "0",
    holds: removals === 0,
  };
}

/** The same without Lifeguard. */
export async function fleetStallsPlanted(): Promise<Figure> {
  await using network = await fleet({ withoutLifeguard: true });
  const removals = await disturb(network, 180_000);
  return {
    id: "G7-planted",
    recipe: "the same without Lifeguard, as plain SWIM",
    found: `${removals} removals`,
    bound: "more than 0",
    holds: removals > 0,
  };
}

/** Half of the members are cut off from the others, and one of them is killed meanwhile. */
export async function fleetSplit(): Promise<Figure> {
  await using network = await fleet();
  const { members } = network;
  const [left, right] = [members.slice(0, count / 2), members.slice(count / 2)];
  const hostsOf = (side: readonly NetworkMember[]) => side.map(({ host }) => host).join(",");
  for (const member of left) member.drop("-s", hostsOf(right));
  for (const member of right) member.drop("-s", hostsOf(left));
  await sleep(30_000);
  const isSplit = network.sees(left, right, false) && network.sees(right, left, false);
  const victim = right.pop() as NetworkMember;
  const killed = new Map([[victim.id, victim.kill()]]);
  await until(() => network.sees(right, [victim], false), 15_000, 50);
  const living = [...left, ...right];
  for (const member of living) member.heal();
  const healedMs = await until(() => network.sees(living, living, true), 20_000, 50);
  await sleep(10_000);
  const { resurrected } = checkMembership(network.observations, killed, 15_000);
  return {
    id: "G8",
    recipe: `${count / 2} of ${count} members cut off from the others for 30 s, one killed meanwhile`,
    found: `${isSplit ? "two views" : "not yet two views"} after 30 s, one ${Math.round(healedMs)} ms after the end, ${resurrected} resurrected`,
    bound: "two, 10000 ms, 0",
    holds: isSplit && healedMs <= 10_000 && resurrected === 0,
  };
}

/** A member receives nothing, and then all lose packets. */
export async function fleetLoss(): Promise<Figure> {
  await using network = await fleet();
  const { members } = network;
  const [deaf] = members as [NetworkMember];
  deaf.drop("-p", "udp");
  deaf.drop("-p", "tcp");
  await sleep(10_000);
  deaf.heal();
  const backMs = await until(() => network.sees(members, members, true), 15_000, 50);
  const from = network.observations.length;
  for (const member of members) {
    member.drop("-m", "statistic", "--mode", "random", "--probability", "0.3");
  }
  await sleep(60_000);
  const removals = network.observations.slice(from).filter(({ present }) => !present).length;
  return {
    id: "G9",
    recipe: `one of ${count} members receives nothing for 10 s; later 30 % of all packets are lost for 60 s`,
    found: `all know all ${Math.round(backMs)} ms after its return; ${removals} removals by loss`,
    bound: "10000 ms; 0",
    holds: backMs <= 10_000 && removals === 0,
  };
}

/** All join at about the same time. */
export async function fleetJoins(): Promise<Figure> {
  await using network = await fleet({ unregistered: true });
  const { members } = network;
  const joining: Promise<void>[] = [];
  for (const member of members) {
    joining.push(member.register());
    await sleep(1_000 / count);
  }
  const knownMs = await until(() => network.sees(members, members, true), 30_000);
  await Promise.all(joining);
  return {
    id: "G10",
    recipe: `${count} processes join within a second`,
    found: `all know all ${Math.round(knownMs)} ms after the last began`,
    bound: "3000 ms",
    holds: knownMs <= 3_000,
  };
}

/** A large record spreads, and all keys are replaced. */
export async function fleetRecords(): Promise<Figure> {
  await using network = await fleet({ keyFiles: true });
  const { members } = network;
  const [owner] = members as [NetworkMember];
  const bytes = 64_000;
  owner.grow(bytes);
  const everywhereMs = await until(() => network.haveLabel(owner, bytes), 20_000);
  const from = network.observations.length;
  const [old, next] = [network.key, randomBytes(32).toString("base64")];
  for (const keys of [[old, next], [next, old], [next]]) {
    for (const member of members) {
      member.writeKeys(keys);
      await sleep(50);
    }
    // Each file is read once a second.
    await sleep(3_000);
  }
  await sleep(10_000);
  const lost = network.observations.slice(from).filter(({ present }) => !present).length;
  const isOneView = network.sees(members, members, true);
  return {
    id: "G11",
    recipe: `a record of 64 KiB among ${count} members, whose key is then replaced in three steps`,
    found: `everywhere after ${Math.round(everywhereMs)} ms; ${lost} removals, ${isOneView ? "one view" : "no common view"}`,
    bound: "2000 ms; 0, one view",
    holds: everywhereMs <= 2_000 && lost === 0 && isOneView,
  };
}
