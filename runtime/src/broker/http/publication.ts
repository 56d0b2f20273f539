import { type Abortable, unwatchAbort, watchAbort } from "../../base/abort-watch.ts";
import { MicroError } from "../../base/error.ts";
import { encodeEnvelope } from "../envelope.ts";
import { abortedPublication, type EventRecord } from "../event.ts";

/** Counts the events that are being sent. */
export interface PublicationHost {
  /** Called once for each publication, when it ends for its publisher. */
  publicationEnded(succeeded: boolean): void;
  /** Called once for each event, when it is no longer kept; an abort does not release it. */
  eventReleased(record: EventRecord): void;
}

/**
 * An event that is being sent to all its subscribers. It ends when each of them, or a member of
 * each group, has it, or cannot get it.
 */
export class Publication implements Abortable {
  readonly record: EventRecord;
  readonly signal: AbortSignal | undefined;
  readonly ended: Promise<void>;
  readonly #host: PublicationHost;
  #resolve!: () => void;
  #reject!: (reason: unknown) => void;
  /** Subscribers and groups without a result. */
  #left = 0;
  #isOver = false;
  #accepted = false;
  #failure: MicroError | undefined = undefined;
  /** Whether a subscriber may have the event although its group counts as failed. */
  #mayBeExecuted = false;
  #envelope: Buffer | undefined = undefined;

  constructor(record: EventRecord, signal: AbortSignal | undefined, host: PublicationHost) {
    this.record = record;
    this.signal = signal;
    this.#host = host;
    this.ended = new Promise<void>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (signal !== undefined) watchAbort(signal, this);
  }

  /** Whether it has ended for its publisher. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The event in go-micro's format, encoded on first use. */
  get envelope(): Buffer {
    this.#envelope ??= encodeEnvelope(this.record);
    return this.#envelope;
  }

  /** Sets the number of subscribers and groups that will report a result. */
  expect(results: number): void {
    this.#left = results;
    if (results === 0) this.#finish();
  }

  /** A subscriber or group has the event. */
  accepted(): void {
    this.#accepted = true;
    this.#end();
  }

  /** A subscriber outside any group did not get the event, or all members of a group are gone. */
  passed(): void {
    this.#end();
  }

  /** No member of a group has the event. */
  failed(error: MicroError): void {
    this.#failure ??= error;
    if (error.outcome !== "not-executed") this.#mayBeExecuted = true;
    this.#end();
  }

  aborted(reason: unknown): void {
    // With nothing to wait for yet, nothing was sent.
    this.cancel(abortedPublication(reason, this.#left > 0));
  }

  /** Ends the publication with an error, whatever happens to an event that is on its way. */
  cancel(error: unknown): void {
    if (this.#isOver) return;
    this.#close(false);
    this.#reject(error);
    if (this.#left === 0) this.#host.eventReleased(this.record);
  }

  #end(): void {
    if (--this.#left === 0) this.#finish();
  }

  #finish(): void {
    this.#host.eventReleased(this.record);
    if (this.#isOver) return;
    const failure = this.#failure;
    this.#close(failure === undefined);
    if (failure === undefined) {
      this.#resolve();
    } else if (!this.#accepted && !this.#mayBeExecuted) {
      this.#reject(failure);
    } else {
      this.#reject(
        new MicroError("unavailable", failure.message, { outcome: "unknown", cause: failure }),
      );
    }
  }

  #close(succeeded: boolean): void {
    this.#isOver = true;
    if (this.signal !== undefined) unwatchAbort(this.signal, this);
    this.#host.publicationEnded(succeeded);
  }
}
