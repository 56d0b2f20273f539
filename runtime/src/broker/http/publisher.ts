import { unwatchAbort, watchAbort } from "../../base/abort-watch.ts";
import type { Deadline } from "../../base/deadline.ts";
import { asMicroError, MicroError } from "../../base/error.ts";
import type { Logger } from "../../base/logger.ts";
import type { EventRecord } from "../event.ts";
import { Attempt, type AttemptHost } from "./attempt.ts";
import type { Directory } from "./directory.ts";
import type { EventLinks } from "./event-links.ts";
import type { HttpSubscriptions } from "./local-subscriptions.ts";
import { Publication, type PublicationHost } from "./publication.ts";
import { type Candidate, RecipientTable } from "./recipients.ts";
import type { Sender } from "./sender.ts";

/** Options for a {@link Publisher}. */
export interface PublisherOptions {
  readonly host: PublicationHost;
  readonly directory: Directory;
  readonly sender: Sender;
  /** Undefined if events are only posted over HTTP. */
  readonly links: EventLinks | undefined;
  readonly own: HttpSubscriptions;
  readonly logger: Logger;
  /** How long the first publication waits for the registry, in milliseconds. */
  readonly lookupTimeoutMs: number;
}

/** How long a failed subscriber is avoided, in milliseconds. */
const avoidMs = 5_000;
const maxAvoided = 4_096;

/** Sends each event to every subscriber outside a group, and to one member of each group. */
export class Publisher implements AttemptHost {
  readonly #options: PublisherOptions;
  readonly #recipients: RecipientTable;
  /** By id: until when a subscriber that did not respond is tried last, or not at all. */
  readonly #avoided = new Map<string, number>();
  #known = false;
  #undelivered = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#recipients = new RecipientTable(options.directory, options.own);
  }

  /** Events that a subscriber outside any group did not accept. */
  get undelivered(): number {
    return this.#undelivered;
  }

  /**
   * Rejects with MicroError `unavailable` when the registry does not report the subscribers, or a
   * group has members and none accepted the event; `canceled` by the signal.
   */
  publish(record: EventRecord, signal: AbortSignal | undefined): Promise<void> {
    const publication = new Publication(record, signal, this.#options.host);
    if (this.#known) this.#start(publication);
    else {
      this.#lookUp(record.topic, signal).then(
        () => this.#start(publication),
        (error: unknown) => publication.cancel(error),
      );
    }
    return publication.ended;
  }

  #start(publication: Publication): void {
    if (publication.isOver) return;
    const { everybody, groups } = this.#recipients.of(publication.record.topic);
    publication.expect(everybody.length + groups.length);
    for (const candidate of everybody) new Attempt(publication, [candidate], this).start();
    for (const members of groups) new Attempt(publication, members, this).start();
  }

  send(attempt: Attempt, candidate: Candidate): void {
    const { target } = candidate;
    if (target === undefined) {
      attempt.settled(this.#options.own.accept(candidate.id, attempt.record));
    } else if (!target.native || this.#options.links?.send(attempt) !== true) {
      this.post(attempt, candidate);
    }
  }

  post(attempt: Attempt, { target }: Candidate, until?: Deadline): void {
    const { publication } = attempt;
    if (target === undefined || publication.isOver) {
      attempt.abandoned();
      return;
    }
    const { envelope, signal } = publication;
    this.#options.sender.post(target, envelope, signal, until).then(
      (status) => {
        if (status >= 200 && status < 300) attempt.settled("accepted");
        else if (status === 404) attempt.settled("gone");
        else if (status === 503) attempt.settled("full");
        else attempt.settled(notAccepted(status));
      },
      (reason: unknown) => {
        if (publication.isOver) attempt.abandoned();
        else attempt.lost(asMicroError(reason, "unavailable"));
      },
    );
  }

  responded(id: string): void {
    if (this.#avoided.size > 0) this.#avoided.delete(id);
  }

  avoid(id: string): void {
    if (this.#avoided.size >= maxAvoided) this.#avoided.clear();
    this.#avoided.set(id, performance.now() + avoidMs);
  }

  isAvoided(id: string): boolean {
    if (this.#avoided.size === 0) return false;
    const until = this.#avoided.get(id);
    if (until === undefined) return false;
    if (until > performance.now()) return true;
    this.#avoided.delete(id);
    return false;
  }

  missed({ id, topic }: EventRecord, candidate: Candidate, reason: string): void {
    this.#undelivered++;
    this.#options.logger.warn(
      { topic, event: id, subscriber: candidate.id, reason },
      "a subscriber did not get an event",
    );
  }

  async #lookUp(topic: string, signal: AbortSignal | undefined): Promise<void> {
    const { directory, lookupTimeoutMs } = this.#options;
    await new Promise<void>((resolve, reject) => {
      const call = {
        aborted: (reason: unknown) => end(asMicroError(reason, "canceled", notSent)),
      };
      const timer = setTimeout(() => {
        const message = `cannot publish on ${topic}: the registry did not list the subscribers within ${lookupTimeoutMs} ms`;
        end(new MicroError("unavailable", message, notSent));
      }, lookupTimeoutMs);
      const end = (error?: MicroError) => {
        clearTimeout(timer);
        if (signal !== undefined) unwatchAbort(signal, call);
        if (error === undefined) resolve();
        else reject(error);
      };
      if (signal !== undefined) watchAbort(signal, call);
      void directory.known().then(() => end());
    });
    this.#known = true;
  }
}

const notSent = { outcome: "not-executed" } as const;

function notAccepted(status: number): MicroError {
  const reason =
    status === 401 || status === 403
      ? "it does not accept events of this publisher, or without a valid signature"
      : `it responded with HTTP status ${status}`;
  return new MicroError("unavailable", reason, notSent);
}
