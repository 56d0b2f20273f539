/** How often a member probes and gossips, and how long it waits; times are in milliseconds. */
export interface GossipTiming {
  /** Time between two probes of a member; one other member is probed in each. */
  readonly periodMs: number;
  /** How long a direct probe waits before others are asked to probe as well. */
  readonly timeoutMs: number;
  /** How many members are asked to probe one that does not respond. */
  readonly indirectProbes: number;
  /** A suspect has at least this many periods, times log10 of the members, to refute. */
  readonly suspicionFactor: number;
  /** An unconfirmed suspicion lasts this many times as long as a confirmed one. */
  readonly suspicionMaxFactor: number;
  /** Time between two rounds of gossip. */
  readonly gossipMs: number;
  /** How many members a round of gossip reaches. */
  readonly fanout: number;
  /** An update is sent this many times, times log10 of the members. */
  readonly retransmitFactor: number;
  /** Time between two exchanges of the whole state with a random member. */
  readonly exchangeMs: number;
  /** Time between two attempts to reach a dead member or a seed. */
  readonly redialMs: number;
  /** How long a dead member is remembered, and so redialled. */
  readonly rememberDeadMs: number;
  /** How long a member that left is remembered. */
  readonly rememberLeftMs: number;
  /** How long dead members still receive gossip, so that they can refute. */
  readonly tellDeadMs: number;
  /**
   * Whether the local health stretches probes, confirmations shorten suspicions, suspects are told
   * first, and nothing is judged that ran over a stall of this process.
   */
  readonly lifeguard: boolean;
}

/** The names of the profiles. */
export type GossipProfile = "lan" | "fast" | "wan";

const lan: GossipTiming = {
  periodMs: 500,
  timeoutMs: 250,
  indirectProbes: 3,
  suspicionFactor: 4,
  suspicionMaxFactor: 6,
  gossipMs: 200,
  fanout: 3,
  retransmitFactor: 4,
  exchangeMs: 30_000,
  redialMs: 10_000,
  rememberDeadMs: 3_600_000,
  rememberLeftMs: 300_000,
  tellDeadMs: 30_000,
  lifeguard: true,
};

/** `lan` is for one data centre, `fast` for large clusters on a good network, `wan` for several. */
export const gossipProfiles: Readonly<Record<GossipProfile, GossipTiming>> = {
  lan,
  fast: { ...lan, periodMs: 250, timeoutMs: 125, gossipMs: 100 },
  wan: {
    ...lan,
    periodMs: 5_000,
    timeoutMs: 3_000,
    suspicionFactor: 6,
    gossipMs: 500,
    fanout: 4,
    exchangeMs: 60_000,
  },
};

/** `log10` of the number of members, at least 1: suspicions last longer in large clusters. */
export function suspicionMinMs(timing: GossipTiming, members: number): number {
  return timing.suspicionFactor * Math.max(1, Math.log10(Math.max(1, members))) * timing.periodMs;
}

/** How often an update is sent before the member considers it known. */
export function retransmissions(timing: GossipTiming, members: number): number {
  return timing.retransmitFactor * Math.ceil(Math.log10(members + 1));
}

/** Time between two exchanges: longer in large clusters, as in memberlist. */
export function exchangeMs(timing: GossipTiming, members: number): number {
  if (members <= 32) return timing.exchangeMs;
  return timing.exchangeMs * (Math.ceil(Math.log2(members) - 5) + 1);
}
