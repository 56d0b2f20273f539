import { abortError, throwIfAborted, untilAborted } from "../base/abort.ts";
import { MicroError } from "../base/error.ts";
import type {
  DeadLetter,
  DeadLetterListOptions,
  DeadLetters,
  DeadLetterTopic,
} from "./dead-letter-admin.ts";
import { originalOf, readDeadLetter } from "./dead-letter-record.ts";
import { abortedPublication, type EventRecord } from "./event.ts";

/** What dead letters need of the broker that they belong to. */
export interface DeadLetterHost {
  /** @throws MicroError when the broker is closed or the signal has fired. */
  check(what: string, signal: AbortSignal | undefined): void;
  publish(record: EventRecord, signal: AbortSignal | undefined): Promise<void>;
}

/** A dead letter, with the event that it was read from. */
export interface FoundDeadLetter {
  readonly letter: DeadLetter;
  readonly record: EventRecord;
}

/** The base of dead letters that a backend keeps: how one is read, replayed and dropped. */
export abstract class KeptDeadLetters implements DeadLetters {
  readonly #host: DeadLetterHost;

  constructor(host: DeadLetterHost) {
    this.#host = host;
  }

  abstract topics(options?: { readonly signal?: AbortSignal }): Promise<readonly DeadLetterTopic[]>;

  abstract list(topic: string, options?: DeadLetterListOptions): AsyncIterable<DeadLetter>;

  async read(topic: string, cursor: string): Promise<DeadLetter | undefined> {
    const what = `read a dead letter on ${topic}`;
    return (await this.run(what, undefined, () => this.find(topic, cursor, what)))?.letter;
  }

  replay(
    topic: string,
    cursor: string,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<boolean> {
    const what = `replay a dead letter on ${topic}`;
    let isPublishing = false;
    const replay = async () => {
      const found = await this.find(topic, cursor, what);
      throwIfAborted(signal);
      if (found === undefined) return false;
      const original = originalOf(found.record, found.letter.topic);
      isPublishing = true;
      await this.#host.publish({ ...original, replay: `${topic}/${cursor}` }, signal);
      await this.remove(topic, cursor, what);
      return true;
    };
    return this.run(what, signal, replay, (reason) => abortedPublication(reason, isPublishing));
  }

  drop(topic: string, cursor: string): Promise<boolean> {
    const what = `drop a dead letter on ${topic}`;
    return this.run(what, undefined, async () => {
      if ((await this.find(topic, cursor, what)) === undefined) return false;
      return this.remove(topic, cursor, what);
    });
  }

  /** @throws MicroError `invalid_argument` for an invalid topic or cursor. */
  protected abstract find(
    topic: string,
    cursor: string,
    what: string,
  ): Promise<FoundDeadLetter | undefined>;

  /** Removes a dead letter that was found; false if another process has removed it meanwhile. */
  protected abstract remove(topic: string, cursor: string, what: string): Promise<boolean>;

  /** The MicroError that an error of the backend is; `what` is the attempted operation. */
  protected abstract failure(error: unknown, what: string): Error;

  /** Resolves when the backend can be asked; immediately by default. */
  protected async ready(_what: string): Promise<void> {}

  protected check(what: string, signal: AbortSignal | undefined): void {
    this.#host.check(what, signal);
  }

  /** The dead letter in an entry of the backend; undefined for one that is not a dead letter. */
  protected decoded(
    cursor: string,
    at: Date,
    decode: () => EventRecord,
  ): FoundDeadLetter | undefined {
    try {
      const record = decode();
      const letter = readDeadLetter(record, cursor, at);
      return letter === undefined ? undefined : { letter, record };
    } catch (error) {
      // An entry of another program that is not an event.
      if (error instanceof MicroError) return undefined;
      throw error;
    }
  }

  /**
   * Runs an operation while the broker is open.
   * @param aborted makes the error for an operation whose signal fires after it may have done more
   * than reading.
   */
  protected async run<T>(
    what: string,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
    aborted: (reason: unknown) => MicroError = abortError,
  ): Promise<T> {
    this.#host.check(what, signal);
    const running = this.ready(what).then(() => {
      throwIfAborted(signal);
      return work();
    });
    try {
      return await untilAborted(running, signal, { error: aborted });
    } catch (error) {
      throw this.failure(error, what);
    }
  }
}
