import { Buffer } from "node:buffer";
import type { NatsBucket } from "../../link/bucket.ts";

/** The recorded handlings of an event by one consumer. */
export interface PastHandlings {
  /** Handlings that were begun. */
  readonly handlings: number;
  /** Why handling was abandoned, if only the dead letter is missing. */
  readonly reason?: string;
}

/** Identifies an event for one consumer. */
export interface HandledEvent {
  readonly consumer: string;
  readonly sequence: number;
  /**
   * When the stream stored it, in nanoseconds: a recreated stream numbers its events from 1 again.
   */
  readonly storedAt: string;
}

const none: PastHandlings = { handlings: 0 };

/**
 * Counts handlings in a NATS bucket, for events that JetStream delivers again: its own count of
 * deliveries includes events that no handler saw. Events that are handled at the first delivery
 * have no entry.
 */
export class HandlingCounts {
  readonly #bucket: NatsBucket;

  constructor(bucket: NatsBucket) {
    this.#bucket = bucket;
  }

  /** @throws MicroError when the bucket cannot be read. */
  async read(event: HandledEvent): Promise<PastHandlings> {
    const entry = await this.#bucket.get(keyOf(event));
    if (entry === undefined || entry.deleted) return none;
    const { storedAt, handlings, reason } = parse(entry.value);
    if (storedAt !== event.storedAt || typeof handlings !== "number") return none;
    return typeof reason === "string" ? { handlings, reason } : { handlings };
  }

  /** @throws MicroError, or the library's error, when the bucket cannot be written. */
  async write(event: HandledEvent, past: PastHandlings): Promise<void> {
    const value = JSON.stringify({ ...past, storedAt: event.storedAt });
    await this.#bucket.put(keyOf(event), Buffer.from(value));
  }

  /** @throws MicroError, or the library's error, when the bucket cannot be written. */
  async delete(event: HandledEvent): Promise<void> {
    await this.#bucket.delete(keyOf(event));
  }
}

function keyOf({ consumer, sequence }: HandledEvent): string {
  return `${consumer}.${sequence}`;
}

/** An entry written by another program counts as empty. */
function parse(value: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(value).toString());
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
  } catch {
    return {};
  }
}
