import type { Delivery, DeliverySource } from "@micro-es/runtime/driver";
import type { Argument, Reply } from "../link/connection.ts";
import type { RedisLink } from "../link/link.ts";
import { BlockingReader, type ReaderHost } from "./blocking-reader.ts";
import { EventIntake, type EventIntakeOptions, type EventReader } from "./event-source.ts";
import { streamsOf } from "./message.ts";
import { lastIds } from "./scripts.ts";

/** Reads every event of a topic for one subscription, which remembers how far it has read. */
export class LoneReader implements EventReader, ReaderHost, DeliverySource {
  readonly #link: RedisLink;
  readonly #streams: readonly string[];
  readonly #start: string;
  readonly #intake: EventIntake;
  readonly #reader: BlockingReader;
  /** The last id that was read, by stream. */
  readonly #positions = new Map<string, string>();

  /** @param start the id after which it begins, or `$` for the last one. */
  constructor(
    link: RedisLink,
    streams: readonly string[],
    start: string,
    options: EventIntakeOptions,
  ) {
    this.#link = link;
    this.#streams = streams;
    this.#start = start;
    this.#reader = new BlockingReader(link, this);
    this.#intake = new EventIntake(options, () => this.#reader.wake());
  }

  async begin(): Promise<void> {
    const what = "read the last events";
    const last = await this.#link.run(lastIds, this.#streams, [], what);
    for (const [index, stream] of this.#streams.entries()) {
      const newest = String((last as readonly Reply[])[index]);
      this.#positions.set(stream, this.#start === "$" ? newest : this.#start);
    }
    await this.#reader.begin();
  }

  wake(): void {
    this.#reader.wake();
  }

  stop(): Promise<void> {
    return this.#reader.close();
  }

  async close(): Promise<void> {}

  room(): number {
    return this.#intake.room();
  }

  command(count: number, blockMs: number): readonly [name: string, ...args: Argument[]] {
    const ids = [...this.#positions.values()];
    const each = Math.max(1, Math.floor(count / ids.length));
    return ["XREAD", "COUNT", each, "BLOCK", blockMs, "STREAMS", ...this.#positions.keys(), ...ids];
  }

  receive(reply: Reply): void {
    for (const [stream, entries] of streamsOf(reply)) {
      for (const entry of entries) {
        this.#positions.set(stream, entry.id);
        this.#intake.take(this, entry, 0);
      }
    }
  }

  async restore(): Promise<void> {}

  beforeHandling(): undefined {}

  postponed(): void {
    this.#intake.placeFree();
  }

  settle(_delivery: Delivery, _settled: boolean): void {
    this.#intake.ended();
  }
}
