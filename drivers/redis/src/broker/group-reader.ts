import { randomUUID } from "node:crypto";
import { asMicroError } from "@micro-es/runtime";
import { pauseUntilAborted } from "@micro-es/runtime/driver";
import type { Argument, Reply } from "../link/connection.ts";
import type { RedisLink } from "../link/link.ts";
import { BlockingReader, type ReaderHost } from "./blocking-reader.ts";
import { EventIntake, type EventIntakeOptions, type EventReader } from "./event-source.ts";
import { GroupStream, isGroupGone } from "./group-stream.ts";
import { wakeChannel } from "./layout.ts";
import { streamsOf } from "./message.ts";
import { takeNext } from "./scripts.ts";

/** How long events may be stuck here before other members get them, in milliseconds. */
const longestPauseMs = 1_000;

/** Options of a {@link GroupReader}. */
export interface GroupReaderOptions extends EventIntakeOptions {
  readonly link: RedisLink;
  readonly group: string;
  /** Whose events any member reads. */
  readonly stream: string;
  /** Of each of these one event is handled at a time. */
  readonly partitions: readonly string[];
  /** The id after which a new group begins. */
  readonly start: string;
  readonly silenceMs: number;
}

/** Reads the events of a group for one of its members. */
export class GroupReader implements EventReader, ReaderHost {
  readonly #options: GroupReaderOptions;
  readonly #member: string = randomUUID();
  readonly #intake: EventIntake;
  readonly #reader: BlockingReader;
  readonly #stream: GroupStream;
  readonly #partitions: readonly GroupStream[];
  readonly #stopping = new AbortController();
  readonly #closing = new AbortController();
  readonly #unfollow: (() => void)[] = [];
  readonly #working = new Set<Promise<void>>();
  /** The partitions that are being asked for an event, and whether to ask again after that. */
  readonly #asking = new Map<GroupStream, boolean>();
  /** Streams that may have events which other members left, and those that are being swept. */
  readonly #unswept = new Set<GroupStream>();
  readonly #sweeping = new Set<GroupStream>();
  /** Whether an event has ended since the last look. */
  #hasMoved = true;

  constructor(options: GroupReaderOptions) {
    this.#options = options;
    const { link, stream, partitions } = options;
    this.#reader = new BlockingReader(link, this, options.silenceMs / 3);
    this.#intake = new EventIntake(options, () => {
      this.#hasMoved = true;
      this.wake();
    });
    this.#stream = this.#make(stream, false);
    this.#partitions = partitions.map((each) => this.#make(each, true));
  }

  async begin(): Promise<void> {
    const { link } = this.#options;
    await Promise.all(this.#all.map((each) => each.begin()));
    if (this.#stopping.signal.aborted) return;
    for (const each of this.#all) {
      const woken = () => this.#wakeStream(each);
      const follower = { following: woken, message: woken, failed: () => {} };
      this.#unfollow.push(link.feed.follow(wakeChannel(each.stream), follower));
    }
    this.#do(() => this.#lookAfter());
    await this.#reader.begin();
  }

  wake(): void {
    for (const each of this.#unswept) this.#sweep(each);
    this.#reader.wake();
    for (const each of this.#partitions) this.#pull(each);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const unfollow of this.#unfollow) unfollow();
    await this.#reader.close();
  }

  async close(): Promise<void> {
    await this.stop();
    this.#closing.abort();
    // Events that are still on their way are returned as well.
    await Promise.all(this.#working);
    await Promise.all(this.#all.map((each) => each.close()));
  }

  room(): number {
    return this.#intake.room();
  }

  command(count: number, blockMs: number): readonly [name: string, ...args: Argument[]] {
    const { group, stream } = this.#options;
    const read = ["GROUP", group, this.#member, "COUNT", count, "BLOCK", blockMs];
    return ["XREADGROUP", ...read, "STREAMS", stream, ">"];
  }

  receive(reply: Reply, askedAt: number): void {
    for (const entries of streamsOf(reply).values()) this.#stream.receive(entries, askedAt);
  }

  async restore(error: unknown): Promise<void> {
    if (isGroupGone(error)) await this.#stream.begin();
  }

  get #all(): readonly GroupStream[] {
    return [this.#stream, ...this.#partitions];
  }

  #make(stream: string, isPartition: boolean): GroupStream {
    const { link, topic, group, start, silenceMs, settings, logger } = this.#options;
    return new GroupStream({
      ...{ link, topic, group, start, silenceMs, logger, stream, isPartition },
      member: this.#member,
      maxDeliveries: settings.maxDeliveries,
      intake: this.#intake,
    });
  }

  /** Another member has returned an event, or has ended one of a partition. */
  #wakeStream(stream: GroupStream): void {
    this.#unswept.add(stream);
    this.#sweep(stream);
    if (this.#partitions.includes(stream)) this.#pull(stream);
  }

  /** Takes what other members left; what there is no room for stays to be taken later. */
  #sweep(stream: GroupStream): void {
    if (this.#stopping.signal.aborted || this.#sweeping.has(stream)) return;
    this.#sweeping.add(stream);
    this.#do(async () => {
      try {
        this.#unswept.delete(stream);
        if (await stream.sweep()) this.#unswept.add(stream);
      } finally {
        this.#sweeping.delete(stream);
      }
      // One was left meanwhile, or there were too many for one command.
      if (this.#unswept.has(stream) && this.room() > 0) this.#sweep(stream);
    });
  }

  /** Asks for the next event of a partition. */
  #pull(partition: GroupStream): void {
    if (this.#stopping.signal.aborted || partition.held > 0 || this.room() <= 0) return;
    if (this.#asking.has(partition)) {
      this.#asking.set(partition, true);
      return;
    }
    this.#asking.set(partition, false);
    this.#do(async () => {
      try {
        await this.#ask(partition);
      } finally {
        const again = this.#asking.get(partition) === true;
        this.#asking.delete(partition);
        if (again) this.#pull(partition);
      }
    });
  }

  async #ask(partition: GroupStream): Promise<void> {
    const { link, group } = this.#options;
    const { stream } = partition;
    const askedAt = performance.now();
    try {
      const reply = await link.run(takeNext, [stream], [group, this.#member], `read ${stream}`);
      for (const entries of streamsOf(reply).values()) partition.receive(entries, askedAt);
    } catch (error) {
      if (isGroupGone(error)) await partition.begin();
      else throw error;
    }
  }

  /** Keeps what is held, takes what other members left, and gives back what is stuck here. */
  async #lookAfter(): Promise<void> {
    const { silenceMs, deliveries } = this.#options;
    const { signal } = this.#closing;
    for (let sweepsAt = 0; !signal.aborted; ) {
      if (!this.#hasMoved && this.#partitions.length === 0) deliveries.giveBack();
      this.#hasMoved = false;
      for (const each of this.#all) await this.#quietly(() => each.keep());
      if (!this.#stopping.signal.aborted && performance.now() >= sweepsAt) {
        for (const each of this.#all) this.#sweep(each);
        for (const each of this.#partitions) this.#pull(each);
        sweepsAt = performance.now() + (silenceMs / 3) * (0.75 + Math.random() / 4);
      }
      await pauseUntilAborted(Math.min(silenceMs / 6, longestPauseMs), signal);
    }
  }

  #do(work: () => Promise<void>): void {
    if (this.#closing.signal.aborted) return;
    const working = this.#quietly(work);
    this.#working.add(working);
    void working.then(() => this.#working.delete(working));
  }

  /** The link's state reports the loss of the server, and everything here is tried again. */
  async #quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const { topic, group, logger } = this.#options;
      const isLost = asMicroError(error).code === "unavailable";
      logger[isLost ? "debug" : "error"](
        { topic, queue: group, error },
        "the events of a group cannot be looked after; trying again",
      );
    }
  }
}
