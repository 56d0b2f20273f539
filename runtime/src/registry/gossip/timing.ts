/** How often a member probes and gossips, and how long it waits; times are in milliseconds. */
export interface GossipTiming {
  /** Time between two probes of a member; one other member is probed in each. */
  readonly periodMs: number;
  /** How long a direct probe waits before others are asked to probe as well. */
  readonly timeoutMs: number;
  /** How many members are asked to probe one that does not respond. */
  readonly indirectProbes: number;
  /** A suspect has at least this many periods to refute, among up to ten members. */
  readonly suspicionPeriods: number;
  /** How many periods more it has for each tenfold number of members. */
  readonly suspicionGrowth: number;
  /** How many others have to suspect a member for a suspicion to last no longer than that. */
  readonly confirmations: number;
  /** An unconfirmed suspicion lasts this many times as long as a confirmed one. */
  readonly suspicionMaxFactor: number;
  /** Time between two rounds of gossip. */
  readonly gossipMs: number;
  /** How many members a round of gossip reaches. */
  readonly fanout: number;
  /** An update is sent this many times, times log10 of the members. */
  readonly retransmitFactor: number;
  /** Time to the first exchange of the whole state; it doubles with each, up to `exchangeMs`. */
  readonly firstExchangeMs: number;
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
  suspicionPeriods: 4,
  suspicionGrowth: 0.5,
  confirmations: 2,
  suspicionMaxFactor: 6,
  gossipMs: 200,
  fanout: 3,
  retransmitFactor: 4,
  firstExchangeMs: 1_000,
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
    suspicionPeriods: 6,
    confirmations: 4,
    gossipMs: 500,
    fanout: 4,
    exchangeMs: 60_000,
  },
};

/**
 * How long a confirmed suspicion lasts. It grows little with the number of members, because news of
 * suspicions does not wait for a round of gossip, and each member tells the suspect itself.
 */
export function suspicionMinMs(timing: GossipTiming, members: number): number {
  const { suspicionPeriods, suspicionGrowth, periodMs } = timing;
  return (suspicionPeriods + suspicionGrowth * Math.max(0, Math.log10(members) - 1)) * periodMs;
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
