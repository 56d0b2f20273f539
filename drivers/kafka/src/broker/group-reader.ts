import type { Delivery, DeliverySource, EventSource } from "@micro-es/runtime/driver";
import type { KafkaLink } from "../link/link.ts";
import { Expelled, GroupMember, type GroupMemberHost } from "./group-member.ts";
import { EventIntake, type EventIntakeOptions } from "./intake.ts";
import type { ReadRecord } from "./message.ts";
import { OffsetCommitter } from "./offset-committer.ts";
import { PartitionProgress, type Taken } from "./partition-progress.ts";
import { TopicReader } from "./topic-reader.ts";
import type { Topics } from "./topics.ts";

/** Options of a {@link GroupReader}. */
export interface GroupReaderOptions extends EventIntakeOptions {
  readonly link: KafkaLink;
  readonly topics: Topics;
  /** The group's name in Kafka. */
  readonly group: string;
  readonly sessionTimeoutMs: number;
  /** The offsets at which a new group begins, by partition. */
  readonly start: () => Promise<readonly number[]>;
}

/** A partition that this member holds. */
interface Holding {
  readonly progress: PartitionProgress;
  readonly events: Set<HeldEvent>;
  /** Whether it is released as soon as no handling is under way. */
  isLeaving: boolean;
  /** Whether it came back meanwhile. */
  isWanted: boolean;
}

/**
 * Reads the events of a group for one of its members. A partition that another member is to have
 * is released when the handlings of its events have ended.
 */
export class GroupReader implements EventSource, GroupMemberHost {
  readonly #options: GroupReaderOptions;
  readonly #intake: EventIntake;
  readonly #reader: TopicReader;
  readonly #member: GroupMember;
  readonly #committer: OffsetCommitter;
  readonly #holdings = new Map<number, Holding>();
  #stopped = false;

  constructor(options: GroupReaderOptions) {
    this.#options = options;
    const { link, topics, topic, logger, group, sessionTimeoutMs } = options;
    const sink = { room: () => this.#intake.room(), take: (each: ReadRecord) => this.#take(each) };
    this.#reader = new TopicReader({ link, topics, topic, logger, sink });
    this.#intake = new EventIntake(options, () => this.#reader.wake());
    const name = topics.nameOf(topic);
    this.#member = new GroupMember({
      link,
      logger,
      group,
      topic: name,
      sessionTimeoutMs,
      host: this,
    });
    this.#committer = new OffsetCommitter(this.#member, logger);
  }

  async begin(): Promise<void> {
    await this.partitions();
    if (!this.#stopped) await this.#member.begin();
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.#reader.close();
    const isBusy = [...this.#holdings.values()].some(({ events }) => events.size > 0);
    if (!isBusy) return;
    // Others get each partition as soon as its events are handled.
    for (const [partition, holding] of [...this.#holdings]) this.#giveUp(partition, holding);
    this.#member.rejoin();
  }

  async close(): Promise<void> {
    await this.stop();
    await this.#committer.close();
    await this.#member.leave();
  }

  membership(): { readonly isReading: boolean; readonly owned: readonly number[] } {
    const all = [...this.#holdings].sort(
      ([, a], [, b]) => Number(a.isLeaving) - Number(b.isLeaving),
    );
    return { isReading: !this.#stopped, owned: all.map(([partition]) => partition) };
  }

  async partitions(): Promise<number> {
    const { topics, topic } = this.#options;
    return (await topics.of(topic, `subscribe to ${topic}`)).leaders.length;
  }

  start(): Promise<readonly number[]> {
    return this.#options.start();
  }

  async assigned(partitions: readonly number[]): Promise<void> {
    const has = new Set(partitions);
    for (const [partition, holding] of [...this.#holdings]) {
      if (!has.has(partition)) this.#giveUp(partition, holding);
      else if (holding.isLeaving) holding.isWanted = true;
    }
    const added = partitions.filter((partition) => !this.#holdings.has(partition));
    if (added.length === 0 || this.#stopped) return;
    for (const { partition, offset, text } of await this.#member.committed(added)) {
      this.#hold(partition, Math.max(0, offset), text);
    }
  }

  expelled(): void {
    for (const [partition, { events, progress }] of this.#holdings) {
      this.#reader.end(partition);
      this.#committer.forget(progress);
      for (const event of events) event.isReleased = true;
    }
    this.#holdings.clear();
    this.#intake.wakeSoon();
  }

  /** Tells the group that a handling begins; false if another member has the event. */
  async begun(event: HeldEvent): Promise<boolean> {
    try {
      await this.#committer.commit(event.progress);
    } catch (error) {
      if (!(error instanceof Expelled)) throw error;
      return false;
    }
    return !event.isReleased;
  }

  /** A handling has ended for now. */
  postponed(event: HeldEvent): void {
    const { partition } = event.progress;
    const holding = this.#holdings.get(partition);
    if (holding?.isLeaving === true && holding.events.has(event)) this.#release(holding, event);
    this.#look(partition);
    this.#intake.wakeSoon();
  }

  /** The event is done, or this member has finished with it. */
  ended(event: HeldEvent): void {
    this.#intake.ended();
    const { progress } = event;
    const holding = this.#holdings.get(progress.partition);
    if (event.isReleased || holding?.events.delete(event) !== true) return;
    this.#committer.commitSoon(progress);
    this.#look(progress.partition);
  }

  #take(record: ReadRecord): void {
    const holding = this.#holdings.get(record.partition);
    if (holding === undefined) return;
    const { progress, events } = holding;
    const taken = progress.take(record.offset);
    if (taken === undefined) {
      this.#committer.commitSoon(progress);
      return;
    }
    const event = new HeldEvent(progress, taken, this);
    events.add(event);
    if (this.#intake.take(event, record, taken.attempts)) return;
    events.delete(event);
    progress.done(taken);
    this.#committer.commitSoon(progress);
  }

  #hold(partition: number, offset: number, text: string): void {
    const progress = new PartitionProgress(partition, offset, text);
    this.#holdings.set(partition, {
      progress,
      events: new Set(),
      isLeaving: false,
      isWanted: false,
    });
    if (!this.#stopped) this.#reader.begin(partition, offset);
  }

  #giveUp(partition: number, holding: Holding): void {
    this.#reader.end(partition);
    holding.isLeaving = true;
    holding.isWanted = false;
    for (const event of [...holding.events]) {
      if (!event.isBegun && !this.#stopped) this.#release(holding, event);
    }
    this.#look(partition);
  }

  /** Leaves an event to the next member. */
  #release(holding: Holding, event: HeldEvent): void {
    holding.events.delete(event);
    event.isReleased = true;
  }

  /** Releases a partition whose handlings have ended, if it is leaving. */
  #look(partition: number): void {
    const holding = this.#holdings.get(partition);
    if (holding === undefined || !holding.isLeaving || holding.events.size > 0) return;
    this.#committer.commit(holding.progress).then(
      () => this.#given(partition, holding),
      (error: unknown) => {
        // The next member repeats what could not be committed.
        const { logger, topic } = this.#options;
        if (error instanceof Expelled) return;
        logger.warn({ topic, partition, error }, "cannot commit what was handled");
        this.#committer.forget(holding.progress);
        this.#given(partition, holding);
      },
    );
  }

  #given(partition: number, holding: Holding): void {
    if (this.#holdings.get(partition) !== holding) return;
    this.#holdings.delete(partition);
    if (holding.isWanted) {
      const { progress } = holding;
      this.#hold(partition, progress.next, progress.text());
      return;
    }
    this.#member.rejoin();
  }
}

/** An event that this member holds. Each handling is counted in the group before it begins. */
class HeldEvent implements DeliverySource {
  readonly progress: PartitionProgress;
  readonly #taken: Taken;
  readonly #reader: GroupReader;
  /** Whether a handling is under way. */
  isBegun = false;
  /** Whether another member has the event. */
  isReleased = false;

  constructor(progress: PartitionProgress, taken: Taken, reader: GroupReader) {
    this.progress = progress;
    this.#taken = taken;
    this.#reader = reader;
  }

  beforeHandling({ attempts }: Delivery): Promise<boolean> | undefined {
    if (this.isReleased) return Promise.resolve(false);
    this.isBegun = true;
    this.#taken.attempts = Math.max(this.#taken.attempts, attempts + 1);
    return this.#reader.begun(this);
  }

  postponed(): void {
    this.isBegun = false;
    this.#reader.postponed(this);
  }

  settle({ attempts, deadLettering }: Delivery, settled: boolean): void {
    if (settled && !this.isReleased) this.progress.done(this.#taken);
    // The next member only makes the dead letter.
    else this.#taken.attempts = deadLettering === undefined ? attempts : neverAgain;
    this.#reader.ended(this);
  }
}

/** More handlings than any subscription allows. */
const neverAgain = 36 ** 4 - 1;
