import { unwatchAbort, watchAbort } from "../../base/abort-watch.ts";
import { asMicroError, MicroError } from "../../base/error.ts";
import type { Logger } from "../../base/logger.ts";
import { encodeEnvelope } from "../envelope.ts";
import type { EventRecord } from "../event.ts";
import type { Directory } from "./directory.ts";
import type { Acceptance, HttpSubscriptions } from "./local-subscriptions.ts";
import type { Sender } from "./sender.ts";
import type { Target } from "./subscriber-node.ts";

/** Options for a {@link Publisher}. */
export interface PublisherOptions {
  readonly directory: Directory;
  readonly sender: Sender;
  readonly own: HttpSubscriptions;
  readonly logger: Logger;
  /** How long the first publication waits for the registry, in milliseconds. */
  readonly lookupTimeoutMs: number;
}

/** A subscriber to send to; one of this broker's own has no address. */
interface Candidate {
  readonly id: string;
  readonly queue: string | undefined;
  readonly target: Target | undefined;
}

/** The result of sending to one subscriber: its response, or the error if there was none. */
type Outcome = Acceptance | MicroError;

/** Maximum number of group members tried for one event. */
const maxTries = 8;

/** How long a failed subscriber is avoided, in milliseconds. */
const avoidMs = 5_000;
const maxAvoided = 4_096;

/** Sends each event to every subscriber outside a group, and to one member of each group. */
export class Publisher {
  readonly #options: PublisherOptions;
  /** By id: until when a subscriber that did not respond is tried last, or not at all. */
  readonly #avoided = new Map<string, number>();
  #known = false;
  #undelivered = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Events that a subscriber outside any group did not accept. */
  get undelivered(): number {
    return this.#undelivered;
  }

  /**
   * @throws MicroError `unavailable` when the registry does not report the subscribers, or a group
   * has members and none accepted the event; `canceled` by the signal.
   */
  async publish(record: EventRecord, signal: AbortSignal | undefined): Promise<void> {
    if (!this.#known) await this.#lookUp(record.topic, signal);
    const { everybody, groups } = this.#candidates(record.topic);
    if (everybody.length === 0 && groups.size === 0) return;
    const letter = new Letter(record);
    const sent = everybody.map((candidate) => this.#sendToOne(candidate, letter, signal));
    const grouped = Array.from(groups, ([queue, members]) =>
      this.#sendToGroup(queue, members, letter, signal),
    );
    const [taken, failures] = await Promise.all([Promise.all(sent), Promise.all(grouped)]);
    const failure = failures.find((each) => each !== undefined);
    if (failure === undefined) return;
    const none =
      !taken.includes(true) && failures.every((each) => each?.outcome === "not-executed");
    throw none
      ? failure
      : new MicroError("unavailable", failure.message, { outcome: "unknown", cause: failure });
  }

  /** The directory's subscribers and this broker's own, which may not be in the directory yet. */
  #candidates(topic: string): {
    readonly everybody: readonly Candidate[];
    readonly groups: ReadonlyMap<string, Candidate[]>;
  } {
    const { directory, own } = this.#options;
    const everybody: Candidate[] = [];
    const groups = new Map<string, Candidate[]>();
    const add = (candidate: Candidate) => {
      if (candidate.queue === undefined) {
        everybody.push(candidate);
        return;
      }
      const members = groups.get(candidate.queue);
      if (members === undefined) groups.set(candidate.queue, [candidate]);
      else members.push(candidate);
    };
    for (const { id, queue } of own.of(topic)) add({ id, queue, target: undefined });
    for (const target of directory.of(topic)) {
      if (!own.has(target.id)) add({ id: target.id, queue: target.queue, target });
    }
    return { everybody, groups };
  }

  /** Returns whether the subscriber accepted the event. A failure does not fail the publication. */
  async #sendToOne(
    candidate: Candidate,
    letter: Letter,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const outcome: Outcome = this.#isAvoided(candidate.id)
      ? new MicroError("unavailable", "it did not answer a moment ago")
      : await this.#send(candidate, letter, signal);
    if (outcome === "accepted") return true;
    if (outcome === "gone") return false;
    this.#undelivered++;
    const { id, topic } = letter.record;
    this.#options.logger.warn(
      { topic, event: id, subscriber: candidate.id, reason: reasonOf(outcome) },
      "a subscriber did not get an event",
    );
    return false;
  }

  /** Tries the members in turn until one accepts the event; returns the reason if none did. */
  async #sendToGroup(
    queue: string,
    members: Candidate[],
    letter: Letter,
    signal: AbortSignal | undefined,
  ): Promise<MicroError | undefined> {
    const { topic, id, key } = letter.record;
    let failure: Outcome = "gone";
    let untouched = true;
    for (const member of this.#inOrder(members, key).slice(0, maxTries)) {
      const outcome = await this.#send(member, letter, signal);
      if (outcome === "accepted") return undefined;
      if (outcome === "gone") continue;
      failure = outcome;
      if (outcome !== "full" && outcome.outcome !== "not-executed") untouched = false;
    }
    if (failure === "gone") return undefined;
    return new MicroError(
      "unavailable",
      `no member of queue ${queue} took event ${id} on ${topic}: ${reasonOf(failure)}`,
      { outcome: untouched ? "not-executed" : "unknown", cause: failure },
    );
  }

  /**
   * Orders the members to try. The first is random, to spread load; for events with a key it is the
   * same one as long as the group does not change. Recently failed members come last.
   */
  #inOrder(members: Candidate[], key: string | undefined): Candidate[] {
    const weight = new Map<Candidate, number>();
    for (const member of members) {
      const rank = key === undefined ? Math.random() : hash(key + member.id);
      weight.set(member, this.#isAvoided(member.id) ? rank - 2 ** 32 : rank);
    }
    return members.sort((a, b) => (weight.get(b) ?? 0) - (weight.get(a) ?? 0));
  }

  /** @throws MicroError `canceled` only; every other failure is returned as the outcome. */
  async #send(
    candidate: Candidate,
    letter: Letter,
    signal: AbortSignal | undefined,
  ): Promise<Outcome> {
    const { sender, own } = this.#options;
    if (candidate.target === undefined) return own.accept(candidate.id, letter.record);
    try {
      const status = await sender.post(candidate.target, letter.envelope, signal);
      this.#avoided.delete(candidate.id);
      if (status >= 200 && status < 300) return "accepted";
      if (status === 404) return "gone";
      if (status === 503) return "full";
      return new MicroError("unavailable", `it answered with HTTP status ${status}`, {
        outcome: "not-executed",
      });
    } catch (error) {
      const failure = asMicroError(error, "unavailable");
      if (signal?.aborted === true) throw failure;
      this.#avoid(candidate.id);
      return failure;
    }
  }

  #avoid(id: string): void {
    if (this.#avoided.size >= maxAvoided) this.#avoided.clear();
    this.#avoided.set(id, performance.now() + avoidMs);
  }

  #isAvoided(id: string): boolean {
    const until = this.#avoided.get(id);
    if (until === undefined) return false;
    if (until > performance.now()) return true;
    this.#avoided.delete(id);
    return false;
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

/** An event and its envelope, which is encoded once, and only if a remote subscriber needs it. */
class Letter {
  readonly record: EventRecord;
  #envelope: Buffer | undefined = undefined;

  constructor(record: EventRecord) {
    this.record = record;
  }

  get envelope(): Buffer {
    this.#envelope ??= encodeEnvelope(this.record);
    return this.#envelope;
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
