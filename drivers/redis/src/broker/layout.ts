import { MicroError } from "@micro-es/runtime";
import { partitionOf, partitions } from "@micro-es/runtime/driver";

/** The keys of the streams of events in Redis. Those of a topic are in one slot of a cluster. */
export class EventKeys {
  /** The topics that have had dead letters. */
  readonly deadTopics: string;
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.deadTopics = `${prefix}:dead-letter-topics`;
  }

  /** The stream of the events of a topic, or of those without a key. */
  stream(topic: string): string {
    return `${this.#prefix}:{${topic}}:events`;
  }

  /** The streams of the events with a key, by partition. */
  partitions(topic: string): readonly string[] {
    return partitions.map((name) => `${this.stream(topic)}:${name}`);
  }

  /** The partition of a key. */
  partitionOf(topic: string, key: string): string {
    return `${this.stream(topic)}:${partitionOf(key)}`;
  }

  /** Set while an event that is published again under an identity is a repetition. */
  identity(topic: string, identity: string): string {
    return `${this.#prefix}:{${topic}}:id:${identity}`;
  }
}

/** The channel on which members of a group hear of events that they can take. */
export function wakeChannel(stream: string): string {
  return `${stream}:wake`;
}

/** The parts of the id of an entry: milliseconds since 1970, and a number among those of one. */
function parts(id: string): readonly [bigint, bigint] {
  const [ms = "0", sequence = "0"] = id.split("-");
  return [BigInt(ms), BigInt(sequence)];
}

/** Whether an id comes after another one. */
export function isAfter(id: string, other: string): boolean {
  const [ms, sequence] = parts(id);
  const [otherMs, otherSequence] = parts(other);
  return ms === otherMs ? sequence > otherSequence : ms > otherMs;
}

/**
 * The id after which a subscription begins.
 * @param from a number is the milliseconds of an id shifted by 20 bits, plus its second part.
 * @throws MicroError `invalid_argument` for a number that is negative.
 */
export function startAfter(from: "new" | "first" | Date | bigint): string {
  if (from === "new") return "$";
  if (from === "first") return "0-0";
  if (typeof from !== "bigint") return before(BigInt(Math.max(0, from.getTime())), 0n);
  if (from < 0n) {
    throw new MicroError("invalid_argument", `an event has no sequence number ${from}`, {
      outcome: "not-executed",
    });
  }
  return before(from >> 20n, from & 0xfffffn);
}

function before(ms: bigint, sequence: bigint): string {
  if (sequence > 0n) return `${ms}-${sequence - 1n}`;
  return ms === 0n ? "0-0" : `${ms - 1n}-${largest}`;
}

const largest = 2n ** 64n - 1n;
