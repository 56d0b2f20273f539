import { Buffer } from "node:buffer";
import { type EventPublisher, MicroError, type PublishOptions } from "@micro-es/runtime";
import { eventRecord, type OutgoingEvent, throwIfAborted } from "@micro-es/runtime/driver";
import { quoted } from "../link/tables.ts";

/**
 * Runs a statement in the application's transaction. The text has `$1` to `$8` in this order, each
 * once; all values are text or null.
 */
export type OutboxQuery = (text: string, values: (string | null)[]) => Promise<unknown>;

/** A connection in a transaction, such as a `Client` or `PoolClient` of `pg`. */
export interface OutboxTransaction {
  query(text: string, values: (string | null)[]): Promise<unknown>;
}

/** How an event is put into the outbox. */
export interface OutboxPublisherOptions {
  readonly schema: string;
  readonly maxEventBytes: number;
  /** Whether the relay is woken at the commit. */
  readonly notify: boolean;
}

/** The SQLSTATEs of a function or a schema that does not exist. */
const missing: ReadonlySet<unknown> = new Set(["42883", "3F000"]);

/** Publishes events into the outbox by the application's own transaction. */
export class OutboxPublisher implements EventPublisher {
  readonly #query: OutboxQuery;
  readonly #options: OutboxPublisherOptions;

  constructor(query: OutboxQuery, options: OutboxPublisherOptions) {
    this.#query = query;
    this.#options = options;
  }

  async publish(topic: string, event: OutgoingEvent, options?: PublishOptions): Promise<void> {
    const { schema, maxEventBytes, notify } = this.#options;
    const record = eventRecord(topic, event, options, maxEventBytes);
    const { id, key = null, contentType, typeName, metadata, body } = record;
    // PostgreSQL's text cannot hold it, and two keys must not become one.
    if (key !== null && (key.includes("\0") || /\p{Surrogate}/u.test(key))) {
      throw invalid(
        `an event on ${topic} has a key with a zero character or an unpaired surrogate, which the outbox cannot hold`,
      );
    }
    throwIfAborted(options?.signal);
    const values = [id, topic, key, contentType, typeName, base64(metadata.encode()), base64(body)];
    const places = [1, 2, 3, 4, 5, 6, 7, 8].map((place) => `$${place}::text`).join(", ");
    const text = `select ${quoted(schema)}.outbox_publish(${places})`;
    try {
      await this.#query(text, [...values, String(notify)]);
    } catch (error) {
      if (!missing.has((error as { readonly code?: unknown } | undefined)?.code)) throw error;
      throw new MicroError(
        "failed_precondition",
        `cannot publish to ${topic}: the schema ${schema} has no outbox; call outbox.open() at the start, or run the statements of postgresTables()`,
        { outcome: "not-executed", cause: error },
      );
    }
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
