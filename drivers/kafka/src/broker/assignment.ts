import { Buffer } from "node:buffer";
import { Reader, Writer } from "@platformatic/kafka";

/** A member's report to the leader of its group, in the format that Kafka's own tools read. */
export interface Membership {
  /** False for one that is closing, which gets no partitions. */
  readonly isReading: boolean;
  /** The partitions that it holds; those that it is about to release come last. */
  readonly owned: readonly number[];
  /** The generation in which it got them. */
  readonly generation: number;
}

/** A member with its report. */
export interface Member extends Membership {
  readonly id: string;
}

const membershipVersion = 2;
/** Partitions of one topic that are believed. */
const maxPartitions = 100_000;

export function encodeMembership(
  topic: string,
  { isReading, owned, generation }: Membership,
): Buffer {
  const topics = isReading ? [topic] : [];
  const owning = owned.length === 0 ? [] : [owned];
  return Writer.create()
    .appendInt16(membershipVersion)
    .appendArray(topics, (writer, name) => writer.appendString(name, false), false, false)
    .appendInt32(-1)
    .appendArray(
      owning,
      (writer, partitions) => encodePartitions(writer, topic, partitions),
      false,
      false,
    )
    .appendInt32(generation).buffer;
}

/** A member of another program, or one that is broken, owns nothing. */
export function decodeMember(topic: string, id: string, metadata: Buffer | null): Member {
  try {
    const reader = Reader.from(metadata ?? Buffer.alloc(0));
    reader.readInt16();
    const topics = reader.readArray((each) => each.readString(false), false, false) ?? [];
    reader.readBytes(false);
    const owned = decodePartitions(reader, topic);
    return { id, isReading: topics.includes(topic), owned, generation: reader.readInt32() };
  } catch {
    return { id, isReading: false, owned: [], generation: -1 };
  }
}

export function encodeAssignment(topic: string, partitions: readonly number[]): Buffer {
  const assigned = partitions.length === 0 ? [] : [partitions];
  return Writer.create()
    .appendInt16(0)
    .appendArray(assigned, (writer, each) => encodePartitions(writer, topic, each), false, false)
    .appendInt32(-1).buffer;
}

export function decodeAssignment(topic: string, assignment: Buffer): readonly number[] {
  if (assignment.length < 6) return [];
  const reader = Reader.from(assignment);
  reader.readInt16();
  return decodePartitions(reader, topic);
}

/**
 * Divides the partitions of a topic among the members. A partition stays with the member that holds
 * it, up to its share. One beyond that stays unassigned until its member has released it, so that
 * no event is handled in two places.
 * @returns the partitions of each member, by its id.
 */
export function assign(
  members: readonly Member[],
  partitions: number,
): ReadonlyMap<string, readonly number[]> {
  const assigned = new Map(members.map(({ id }) => [id, [] as number[]]));
  const owners = ownersOf(members, partitions);
  const readers = members.filter(({ isReading }) => isReading);
  const count = (id: string) => [...owners.values()].filter((owner) => owner === id).length;
  // Those that hold more get the larger shares, so that less moves.
  const counts = new Map(readers.map(({ id }) => [id, count(id)]));
  const byCount = [...readers].sort(
    (a, b) => (counts.get(b.id) ?? 0) - (counts.get(a.id) ?? 0) || (a.id < b.id ? -1 : 1),
  );
  const share = Math.floor(partitions / Math.max(1, readers.length));
  const larger = partitions % Math.max(1, readers.length);
  const free = Array.from({ length: partitions }, (_, index) => index).filter(
    (partition) => !owners.has(partition),
  );
  for (const [index, { id, owned }] of byCount.entries()) {
    const most = share + (index < larger ? 1 : 0);
    const mine = assigned.get(id) as number[];
    const kept = owned.filter((partition) => owners.get(partition) === id);
    mine.push(...kept.slice(0, most));
  }
  for (const [index, { id }] of byCount.entries()) {
    const most = share + (index < larger ? 1 : 0);
    const mine = assigned.get(id) as number[];
    while (mine.length < most && free.length > 0) mine.push(free.shift() as number);
  }
  return assigned;
}

/** The holder of each partition: the member of the latest generation that reports it. */
function ownersOf(members: readonly Member[], partitions: number): ReadonlyMap<number, string> {
  const owners = new Map<number, Member>();
  for (const member of members) {
    for (const partition of member.owned) {
      const other = owners.get(partition);
      if (partition < 0 || partition >= partitions) continue;
      if (other === undefined || other.generation < member.generation)
        owners.set(partition, member);
    }
  }
  return new Map([...owners].map(([partition, { id }]) => [partition, id]));
}

function encodePartitions(writer: Writer, topic: string, partitions: readonly number[]): void {
  writer
    .appendString(topic, false)
    .appendArray([...partitions], (each, partition) => each.appendInt32(partition), false, false);
}

function decodePartitions(reader: Reader, topic: string): readonly number[] {
  const all =
    reader.readArray(
      (each) => ({
        name: each.readString(false),
        partitions: each.readArray((one) => one.readInt32(), false, false) ?? [],
      }),
      false,
      false,
    ) ?? [];
  const found = all.flatMap(({ name, partitions }) => (name === topic ? partitions : []));
  return [...new Set(found)].slice(0, maxPartitions);
}
