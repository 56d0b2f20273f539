import { partitionOf } from "@micro-es/runtime/driver";
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

  /** @param part the partition, `none`, or `*` for all of them */
  subject(topic: string, part: string): string {
    return `${this.prefix}.${topic}.${part}`;
  }

  subjectOfKey(topic: string, key: string | undefined): string {
    return this.subject(topic, partitionOf(key));
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
