/** Counters of an mDNS registry since it was created. */
export interface MdnsStats {
  /** Packets received from the attached networks. */
  readonly packets: number;
  /** Packets that are not valid DNS packets, and TXT records that are not go-micro records. */
  readonly malformed: number;
  /** Packets from outside the attached networks. */
  readonly offLink: number;
  /** Records that are not valid nodes, or contain an address that is not allowed. */
  readonly refused: number;
  /** Records dropped because a limit was reached. */
  readonly overflow: number;
  /** Queries sent. */
  readonly queries: number;
  /** Replies sent. */
  readonly answers: number;
  /** Replies not sent because there were too many queries. */
  readonly unanswered: number;
  /** Goodbyes sent by others for nodes of this registry; the nodes are announced again. */
  readonly contradicted: number;
  /** Nodes of other processes dropped because they were not heard from within their ttl. */
  readonly expired: number;
}

/** The counters behind {@link MdnsStats}. */
export type MdnsCounters = { -readonly [name in keyof MdnsStats]: number };

export function newCounters(): MdnsCounters {
  return {
    packets: 0,
    malformed: 0,
    offLink: 0,
    refused: 0,
    overflow: 0,
    queries: 0,
    answers: 0,
    unanswered: 0,
    contradicted: 0,
    expired: 0,
  };
}
