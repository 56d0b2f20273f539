import type { Deadline } from "../../base/deadline.ts";
import { MicroError } from "../../base/error.ts";
import type { EventRecord } from "../event.ts";
import type { LinkDelivery } from "./event-link.ts";
import type { Acceptance } from "./local-subscriptions.ts";
import type { Publication } from "./publication.ts";
import type { Candidate } from "./recipients.ts";
import type { Target } from "./subscriber-node.ts";

/** What an {@link Attempt} requires of the publisher. */
export interface AttemptHost {
  /** Sends the event; the attempt is settled later. */
  send(attempt: Attempt, candidate: Candidate): void;
  /** Posts the event over HTTP. */
  post(attempt: Attempt, candidate: Candidate, until?: Deadline): void;
  /** A subscriber has responded. */
  responded(id: string): void;
  /** A subscriber has not responded, and is avoided for a while. */
  avoid(id: string): void;
  isAvoided(id: string): boolean;
  /** A subscriber outside any group did not get an event. */
  missed(record: EventRecord, candidate: Candidate, reason: string): void;
}

/** The result of sending to one subscriber: its response, or the error if there was none. */
type Outcome = Acceptance | MicroError;

/** Maximum number of group members tried for one event. */
const maxTries = 8;

/** The way of one event to a subscriber outside any group, or to one member of a group. */
export class Attempt implements LinkDelivery {
  readonly publication: Publication;
  readonly record: EventRecord;
  resentUntil: Deadline | undefined = undefined;
  readonly #members: readonly Candidate[];
  readonly #host: AttemptHost;
  #candidate: Candidate;
  /** Members that were tried before; undefined if there are none. */
  #tried: Set<Candidate> | undefined = undefined;
  #failure: Outcome = "gone";
  #untouched = true;

  /** @param members one subscriber outside any group, or the members of a group. */
  constructor(publication: Publication, members: readonly Candidate[], host: AttemptHost) {
    this.publication = publication;
    this.record = publication.record;
    this.#members = members;
    this.#host = host;
    this.#candidate = members[0]!;
  }

  get target(): Target {
    return this.#candidate.target!;
  }

  start(): void {
    const only = this.#candidate;
    if (only.queue === undefined && this.#host.isAvoided(only.id)) {
      this.settled(new MicroError("unavailable", "it did not respond a moment ago"));
      return;
    }
    if (this.#members.length > 1) this.#candidate = this.#choose();
    this.#host.send(this, this.#candidate);
  }

  post(until?: Deadline): void {
    this.#host.post(this, this.#candidate, until);
  }

  /** Ends the attempt of a publication that is over, which says nothing about the subscriber. */
  abandoned(): void {
    this.publication.passed();
  }

  mayHaveArrived(): void {
    this.#untouched = false;
  }

  lost(error: MicroError): void {
    this.#host.avoid(this.#candidate.id);
    this.settled(error);
  }

  settled(outcome: Outcome): void {
    const candidate = this.#candidate;
    if (!(outcome instanceof MicroError)) this.#host.responded(candidate.id);
    if (outcome === "accepted") this.publication.accepted();
    else if (candidate.queue === undefined) this.#endOne(candidate, outcome);
    else this.#tryNext(candidate, outcome);
  }

  /** A failure does not fail the publication. */
  #endOne(candidate: Candidate, outcome: Outcome): void {
    if (outcome !== "gone") this.#host.missed(this.record, candidate, reasonOf(outcome));
    this.publication.passed();
  }

  #tryNext(candidate: Candidate, outcome: Outcome): void {
    if (outcome !== "gone") {
      this.#failure = outcome;
      if (outcome !== "full" && (outcome as MicroError).outcome !== "not-executed") {
        this.#untouched = false;
      }
    }
    if (this.publication.isOver) {
      this.publication.passed();
      return;
    }
    this.#tried ??= new Set();
    this.#tried.add(candidate);
    if (this.#tried.size < Math.min(this.#members.length, maxTries)) {
      this.resentUntil = undefined;
      this.#candidate = this.#choose();
      this.#host.send(this, this.#candidate);
    } else if (this.#failure === "gone") this.publication.passed();
    else this.publication.failed(this.#groupFailure(candidate.queue));
  }

  /**
   * The member to try next. The first is random, to spread load; for events with a key it is the
   * same one as long as the group does not change. Recently failed members come last.
   */
  #choose(): Candidate {
    const { key } = this.record;
    let best = this.#candidate;
    let highest = Number.NEGATIVE_INFINITY;
    for (const member of this.#members) {
      if (this.#tried?.has(member) === true) continue;
      const rank = key === undefined ? Math.random() : hash(key + member.id);
      const weight = this.#host.isAvoided(member.id) ? rank - 2 ** 32 : rank;
      if (weight <= highest) continue;
      best = member;
      highest = weight;
    }
    return best;
  }

  #groupFailure(queue: string | undefined): MicroError {
    const { id, topic } = this.record;
    return new MicroError(
      "unavailable",
      `no member of queue ${queue} took event ${id} on ${topic}: ${reasonOf(this.#failure)}`,
      { outcome: this.#untouched ? "not-executed" : "unknown", cause: this.#failure },
    );
  }
}

function reasonOf(outcome: Outcome): string {
  return outcome instanceof MicroError ? outcome.message : "it has no room";
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}
