import type { Buffer } from "node:buffer";
import { asMicroError, type Logger } from "@micro-es/runtime";
import type { Reply } from "../link/connection.ts";
import { refusalOf } from "../link/failure.ts";
import type { RedisLink } from "../link/link.ts";
import { HeldEvent, type HeldEventHost } from "./held-event.ts";
import { isAfter, wakeChannel } from "./layout.ts";
import type { StreamEntry } from "./message.ts";
import {
  acknowledge,
  beginGroup,
  countHandling,
  giveBack,
  keepEvents,
  takeOver,
} from "./scripts.ts";

/** Where the events of a stream go. */
export interface Intake {
  /** How many more events can be handled. */
  room(): number;
  /** @param past how often the event may have been handled before. */
  take(source: HeldEvent, entry: StreamEntry, past: number): void;
  /** The event ended here, and another one may take its place. */
  ended(event: HeldEvent): void;
  /** A handling has ended for now. */
  placeFree(): void;
}

/** A member of a group, and one stream that it reads. */
export interface GroupStreamOptions {
  readonly link: RedisLink;
  readonly stream: string;
  readonly topic: string;
  readonly group: string;
  /** The name of the member, which no other one has. */
  readonly member: string;
  /** The id after which a new group begins. */
  readonly start: string;
  /** Events of a member that is silent for this long go to others, in milliseconds. */
  readonly silenceMs: number;
  readonly maxDeliveries: number;
  /** Whether the end of an event lets other members take the next one. */
  readonly isPartition: boolean;
  readonly intake: Intake;
  readonly logger: Logger;
}

/** The most ids in one command. */
const batch = 500;
/** An event that is returned has been silent for longer than any member waits, in milliseconds. */
const returnedMs = 30 * 24 * 3_600_000;
/** Retries of what a lost connection has interrupted, in milliseconds. */
const retryMs = 250;

/** The events of one stream that one member of a group holds. */
export class GroupStream implements HeldEventHost {
  readonly silenceMs: number;
  readonly #options: GroupStreamOptions;
  readonly #held = new Map<string, HeldEvent>();
  /** The ids that are to be acknowledged. */
  #done: string[] = [];
  #flushing: Promise<void> | undefined;
  /** The id after which a group is created that was lost with its stream. */
  #position: string;
  readonly #returning = new Set<Promise<void>>();
  #closed = false;

  constructor(options: GroupStreamOptions) {
    this.#options = options;
    this.silenceMs = options.silenceMs;
    this.#position = options.start;
  }

  get held(): number {
    return this.#held.size;
  }

  get stream(): string {
    return this.#options.stream;
  }

  /** Creates the group unless it exists. */
  async begin(): Promise<void> {
    const { link, stream, group } = this.#options;
    const what = `create the group ${group} of ${stream}`;
    const last = String(await link.run(beginGroup, [stream], [group, this.#position], what));
    if (this.#position === "$" || isAfter(last, this.#position)) this.#position = last;
  }

  /**
   * Takes entries that the server delivered for the first time.
   * @param askedAt before the server was asked for them.
   */
  receive(entries: readonly StreamEntry[], askedAt: number): void {
    for (const entry of entries) {
      if (isAfter(entry.id, this.#position)) this.#position = entry.id;
      this.#take(entry, 0, askedAt);
    }
  }

  /**
   * Takes the events of silent members, as far as there is room.
   * @returns whether there may be more.
   */
  async sweep(): Promise<boolean> {
    const { link, stream, group, member, topic, intake, isPartition, logger } = this.#options;
    const room = isPartition ? 1 : Math.min(batch, intake.room());
    if (this.#closed || !link.connected) return false;
    if (room <= 0) return true;
    const askedAt = performance.now();
    const args = [group, member, this.silenceMs, room];
    const reply = await link.run(takeOver, [stream], args, `take events of ${stream}`);
    const [trimmed, taken] = reply as readonly [readonly Buffer[], readonly Reply[]];
    if (trimmed.length > 0) {
      const ids = trimmed.map(String);
      logger.error(
        { topic, queue: group, stream, ids },
        "events were removed before their handling",
      );
    }
    for (const each of taken) {
      const [id, deliveries, fields] = each as readonly [Buffer, number, readonly Buffer[]];
      this.#take({ id: id.toString(), fields }, deliveries, askedAt);
    }
    return !isPartition && trimmed.length + taken.length >= room;
  }

  /** Keeps the held events for this member. */
  async keep(): Promise<void> {
    const { link, stream, group, member } = this.#options;
    const isDue = (event: HeldEvent) => event.keptForMs > this.silenceMs / 4;
    const ids = [...this.#held.values()].filter(isDue).map(({ id }) => id);
    for (let start = 0; start < ids.length && link.connected; start += batch) {
      const some = ids.slice(start, start + batch);
      const askedAt = performance.now();
      const args = [group, member, ...some];
      const reply = await link.run(keepEvents, [stream], args, `keep events of ${stream}`);
      const lost = new Set((reply as readonly Buffer[]).map(String));
      for (const id of some) {
        if (lost.has(id)) this.#held.get(id)?.lost();
        else this.#held.get(id)?.kept(askedAt);
      }
    }
  }

  async count(event: HeldEvent, handling: number): Promise<boolean> {
    const { link, stream, group, member } = this.#options;
    const askedAt = performance.now();
    const args = [group, member, event.id, handling];
    const isOurs = await link.run(countHandling, [stream], args, `count a handling of ${event.id}`);
    if (isOurs === 1) event.kept(askedAt);
    else event.lost();
    return isOurs === 1;
  }

  placeFree(): void {
    this.#options.intake.placeFree();
  }

  finished(event: HeldEvent): void {
    this.#forget(event);
    if (!event.isOurs) return;
    this.#done.push(event.id);
    this.#flushing ??= this.#flush();
  }

  returned(event: HeldEvent, handlings: number): void {
    this.#forget(event);
    if (!event.isOurs) return;
    const { maxDeliveries } = this.#options;
    const returning = this.#return(event, Math.min(handlings, maxDeliveries));
    this.#returning.add(returning);
    void returning.then(() => this.#returning.delete(returning));
  }

  /** Resolves when the server knows what became of all events. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const event of [...this.#held.values()]) this.returned(event, 0);
    await this.#flushing;
    await Promise.all(this.#returning);
  }

  #take(entry: StreamEntry, past: number, askedAt: number): void {
    const held = this.#held.get(entry.id);
    if (held !== undefined) {
      held.kept(askedAt);
      return;
    }
    const event = new HeldEvent(entry.id, past + 1, this, askedAt);
    this.#held.set(entry.id, event);
    if (this.#closed) this.returned(event, past);
    else this.#options.intake.take(event, entry, past);
  }

  #forget(event: HeldEvent): void {
    this.#held.delete(event.id);
    this.#options.intake.ended(event);
  }

  /** Acknowledges what ended in this turn, and after that what ended meanwhile. */
  async #flush(): Promise<void> {
    const { link, stream, group, member, isPartition, logger, topic } = this.#options;
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#done.length > 0) {
      const ids = this.#done.splice(0, batch);
      const args = [group, member, isPartition ? wakeChannel(stream) : "", ...ids];
      try {
        await link.run(acknowledge, [stream], args, `acknowledge events of ${stream}`);
      } catch (error) {
        const { code } = asMicroError(error);
        if (code !== "unavailable" || link.closed) {
          logger.error({ topic, queue: group, stream, error }, "events cannot be acknowledged");
        } else if (!this.#closed) {
          // Others take the events only when this member was silent for long.
          this.#done.unshift(...ids);
          await link.pause(retryMs);
        }
      }
    }
    this.#flushing = undefined;
  }

  async #return(event: HeldEvent, handlings: number): Promise<void> {
    const { link, stream, group, member, logger, topic } = this.#options;
    const args = [group, member, wakeChannel(stream), returnedMs, event.id, handlings];
    try {
      await link.run(giveBack, [stream], args, `return an event of ${stream}`);
    } catch (error) {
      // Another member takes it when this one was silent for long.
      logger.debug({ topic, queue: group, event: event.id, error }, "an event cannot be returned");
    }
  }
}

/** Whether a group is gone, with its stream or without it. */
export function isGroupGone(error: unknown): boolean {
  const { cause } = error as Error;
  return [error, cause].some(
    (each) =>
      each instanceof Error &&
      (refusalOf(each) === "NOGROUP" || /no longer exists/.test(each.message)),
  );
}
