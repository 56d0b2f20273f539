import { createHash } from "node:crypto";
import { DiscardPolicy, nanos, RetentionPolicy, StorageType } from "nats";
import { isNotFound, natsFailure } from "../../link/failure.ts";
import type { NatsLink } from "../../link/link.ts";

/** How a stream is created if it does not exist. */
export interface NewStreamOptions {
  readonly storage?: "file" | "memory";
  readonly replicas?: number;
  readonly maxAgeMs?: number;
  readonly duplicateWindowMs?: number;
}

/** How long a new stream keeps events by default, in milliseconds: a week. */
export const week: number = 7 * 24 * 3_600_000;

/** The last part of the subject of events without a key. */
export const noKey = "none";
/**
 * The last parts of the subjects of events with a key. Their number must never change: a key always
 * maps to the same one.
 */
export const partitions: readonly string[] = Array.from({ length: 16 }, (_, index) => `k${index}`);

/** The stream that stores events; it is created with its first use. */
export class EventStream {
  readonly name: string;
  readonly prefix: string;
  readonly #link: NatsLink;
  readonly #options: NewStreamOptions;
  #ready: Promise<void> | undefined;
  /** Whether it is known to exist. */
  isOpen = false;

  /** @param prefix of its subjects, which go on with the topic and the partition */
  constructor(link: NatsLink, name: string, prefix: string, options: NewStreamOptions) {
    this.#link = link;
    this.name = name;
    this.prefix = prefix;
    this.#options = options;
  }

  /** @param part the partition, {@link noKey}, or `*` for all of them */
  subject(topic: string, part: string): string {
    return `${this.prefix}.${topic}.${part}`;
  }

  subjectOfKey(topic: string, key: string | undefined): string {
    return this.subject(topic, partOf(key));
  }

  /** Creates the stream if it does not exist. */
  open(): Promise<void> {
    this.#ready ??= this.#make().then(
      () => {
        this.isOpen = true;
      },
      (error) => {
        this.forget();
        throw natsFailure(error, `open the NATS stream ${this.name}`);
      },
    );
    return this.#ready;
  }

  /** Called when the stream may have been lost with its server's data. */
  forget(): void {
    this.#ready = undefined;
    this.isOpen = false;
  }

  async #make(): Promise<void> {
    const manager = await this.#link.manager();
    const {
      storage = "file",
      replicas = 1,
      maxAgeMs = week,
      duplicateWindowMs = 120_000,
    } = this.#options;
    try {
      await this.#link.response(manager.streams.info(this.name));
      return;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    try {
      const made = manager.streams.add({
        name: this.name,
        subjects: [`${this.prefix}.>`],
        storage: storage === "file" ? StorageType.File : StorageType.Memory,
        num_replicas: replicas,
        max_age: nanos(maxAgeMs),
        duplicate_window: nanos(Math.min(duplicateWindowMs, maxAgeMs)),
        retention: RetentionPolicy.Limits,
        discard: DiscardPolicy.Old,
      });
      await this.#link.response(made);
    } catch (error) {
      await manager.streams.info(this.name).catch(() => {
        throw error;
      });
    }
  }
}

function partOf(key: string | undefined): string {
  if (key === undefined) return noKey;
  const [first = 0] = createHash("sha256").update(key).digest();
  return partitions[first % partitions.length] ?? noKey;
}
