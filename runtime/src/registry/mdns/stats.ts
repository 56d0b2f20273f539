/** What an mDNS registry has counted since it was made. */
export interface MdnsStats {
  /** Packets that came from the attached networks. */
  readonly packets: number;
  /** Packets that are no DNS packets, and TXT records that are no go-micro records. */
  readonly malformed: number;
  /** Packets from outside the attached networks. */
  readonly offLink: number;
  /** Records that are malformed as nodes, or name an address that is not allowed. */
  readonly refused: number;
  /** Records that were dropped because a limit was reached. */
  readonly overflow: number;
  /** Queries sent. */
  readonly queries: number;
  /** Answers sent. */
  readonly answers: number;
  /** Answers not sent because there were too many questions. */
  readonly unanswered: number;
  /** Nodes of other processes that were dropped because they were not heard of within their ttl. */
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
    expired: 0,
  };
}
