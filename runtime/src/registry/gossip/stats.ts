/** Counters of a gossip registry since it was opened. */
export interface GossipStats {
  /** Live members, this process included. */
  readonly members: number;
  /** How badly this process itself runs, from 0 to 7; it then probes less often. */
  readonly health: number;
  /** The names of the keys in packets; the first seals, all open. */
  readonly keys: readonly string[];
  /** Datagrams received. */
  readonly datagrams: number;
  /** Bytes that are not a packet or a message of the protocol. */
  readonly malformed: number;
  /** Packets and connections of a later version of the protocol. */
  readonly laterVersion: number;
  /** Packets sealed with a key that this member does not have. */
  readonly foreignKey: number;
  /** Packets that name a key of this member and are not sealed with it, or not for this member. */
  readonly forged: number;
  /** Packets received a second time. */
  readonly replayed: number;
  /** Connections closed because there were too many, or because they sent nothing valid in time. */
  readonly refusedConnections: number;
  /** Records that are not valid nodes, or contain an address that is not allowed. */
  readonly refusedRecords: number;
  /** Members and records dropped because a limit was reached. */
  readonly overflow: number;
  /** Times that this member refuted that it is dead. */
  readonly refuted: number;
  /** Members that this one declared dead. */
  readonly declaredDead: number;
}

/** The counters of packets. */
export interface PacketCounters {
  datagrams: number;
  malformed: number;
  laterVersion: number;
  foreignKey: number;
  forged: number;
  replayed: number;
  refusedConnections: number;
}

export function newPacketCounters(): PacketCounters {
  return {
    datagrams: 0,
    malformed: 0,
    laterVersion: 0,
    foreignKey: 0,
    forged: 0,
    replayed: 0,
    refusedConnections: 0,
  };
}
