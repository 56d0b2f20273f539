import {
  type GossipProfile,
  type GossipTiming,
  gossipProfiles,
} from "../../runtime/src/registry/gossip/timing.ts";
import { SimulatedCluster, type SimulatedNode } from "./simulated-cluster.ts";

/** A profile without the exchanges of the first minutes: as of members that joined long ago. */
export function settled(profile: GossipProfile): GossipTiming {
  return { ...gossipProfiles[profile], firstExchangeMs: 180_000 };
}

export interface DeathFigures {
  /** Milliseconds until all others knew of each death; infinity if they did not. */
  readonly knownMs: readonly number[];
  /** Removals of members that were alive. */
  readonly falseDeaths: number;
}

/** Kills members one after another, while datagrams are lost. */
export function killMembers(
  profile: GossipProfile,
  {
    members,
    kills,
    loss,
    seed = 7,
  }: { members: number; kills: number; loss: number; seed?: number },
): DeathFigures {
  const cluster = new SimulatedCluster({ timing: settled(profile), seed, loss });
  cluster.assemble(members);
  cluster.run(3_000);
  const knownMs: number[] = [];
  for (let kill = 0; kill < kills; kill++) {
    const victim = cluster.nodes[(kill * 37) % members]!;
    const [at, from] = [cluster.now, cluster.sightings.length];
    cluster.kill(victim);
    const isKnown = () =>
      living(cluster).every(({ member }) => !member.membership.isLive(victim.member.id));
    const known = cluster.until(isKnown, 30_000);
    const seen = cluster.sightings.slice(from).filter(({ subject }) => subject === victim.index);
    knownMs.push(known ? Math.max(...seen.map((sighting) => sighting.at)) - at : Infinity);
  }
  return { knownMs, falseDeaths: falseDeaths(cluster) };
}

/** The datagrams that a member of a quiet cluster sends, with headers. */
export function measureTraffic(
  profile: GossipProfile,
  members: number,
): { readonly datagramsPerSecond: number; readonly bytesPerSecond: number } {
  const cluster = new SimulatedCluster({ timing: settled(profile) });
  cluster.assemble(members);
  cluster.run(2_000);
  const sum = (of: (node: SimulatedNode) => number) =>
    cluster.nodes.reduce((total, node) => total + of(node), 0);
  const before = [sum((node) => node.sentDatagrams), sum((node) => node.sentBytes)] as const;
  const seconds = 5;
  cluster.run(seconds * 1_000);
  const per = seconds * members;
  return {
    datagramsPerSecond: (sum((node) => node.sentDatagrams) - before[0]) / per,
    bytesPerSecond: (sum((node) => node.sentBytes) - before[1]) / per,
  };
}

/** Blocks the event loops of some members again and again; counts the removals of all others. */
export function blockMembers(
  lifeguard: boolean,
  { seconds, seed = 3 }: { seconds: number; seed?: number },
): number {
  const timing = { ...gossipProfiles.lan, lifeguard };
  const cluster = new SimulatedCluster({ timing, seed });
  cluster.assemble(40);
  const slow = cluster.nodes.slice(0, 8);
  const isSlow = new Set(slow.map(({ index }) => index));
  // They run for 4 ms only between two blocks that are longer than a suspicion.
  for (let step = 0; step < 500 * seconds; step++) {
    for (const [index, node] of slow.entries()) {
      if ((step + 200 * index) % 1_802 === 0) cluster.block(node, 3_600);
    }
    cluster.run(2);
  }
  return cluster.sightings.filter(({ subject, live }) => !live && !isSlow.has(subject)).length;
}

/** The members whose processes run. */
export function living(cluster: SimulatedCluster): readonly SimulatedNode[] {
  return cluster.nodes.filter(({ alive }) => alive);
}

/** Whether every living member knows exactly the living ones. */
export function isOneView(cluster: SimulatedCluster): boolean {
  const alive = living(cluster);
  return alive.every(({ member }) => {
    const { live } = member.membership;
    return (
      live.size === alive.length - 1 &&
      alive.every((it) => it.member === member || member.membership.isLive(it.member.id))
    );
  });
}

function falseDeaths(cluster: SimulatedCluster): number {
  return cluster.sightings.filter(({ subject, live, at }) => {
    const killedAt = cluster.nodes[subject]?.killedAt ?? Infinity;
    return !live && at < killedAt;
  }).length;
}
