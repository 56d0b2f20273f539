import { asMicroError, type Logger } from "@micro-es/runtime";
import { Expelled, type GroupMember } from "./group-member.ts";
import type { PartitionProgress } from "./partition-progress.ts";

/** Handled events are committed after this time at the latest, in milliseconds. */
const soonMs = 50;

/** Commits how far a member has come: one request at a time, with all that has changed. */
export class OffsetCommitter {
  readonly #member: GroupMember;
  readonly #logger: Logger;
  readonly #changed = new Set<PartitionProgress>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #closed = false;

  constructor(member: GroupMember, logger: Logger) {
    this.#member = member;
    this.#logger = logger;
  }

  /** Resolves when the group knows how far this partition is at the moment. */
  commit(progress: PartitionProgress): Promise<void> {
    this.#changed.add(progress);
    return this.#flush();
  }

  commitSoon(progress: PartitionProgress): void {
    this.#changed.add(progress);
    if (this.#closed || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#flush().catch((error: unknown) => {
        const isLost = error instanceof Expelled || asMicroError(error).code === "unavailable";
        const level = isLost ? "debug" : "warn";
        this.#logger[level]({ error }, "cannot commit what was handled yet");
      });
    }, soonMs);
  }

  /** Commits this partition no more. */
  forget(progress: PartitionProgress): void {
    this.#changed.delete(progress);
  }

  /** Commits the rest, as far as possible. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    try {
      await this.#running?.catch(() => {});
      await this.#flush();
    } catch (error) {
      if (error instanceof Expelled) return;
      this.#logger.warn({ error }, "cannot commit what was handled; it is delivered again");
    }
  }

  /** All that changes in one turn, or while a request is under way, is one request. */
  #flush(): Promise<void> {
    this.#next ??= this.#after(this.#running);
    return this.#next;
  }

  async #after(running: Promise<void> | undefined): Promise<void> {
    await running?.catch(() => {});
    await new Promise((resolve) => setImmediate(resolve));
    this.#running = this.#next;
    this.#next = undefined;
    const all = [...this.#changed];
    this.#changed.clear();
    if (all.length === 0) return;
    try {
      await this.#member.commit(
        all.map((progress) => ({
          partition: progress.partition,
          offset: progress.next,
          text: progress.text(),
        })),
      );
    } catch (error) {
      if (!(error instanceof Expelled)) for (const each of all) this.#changed.add(each);
      throw error;
    }
  }
}
