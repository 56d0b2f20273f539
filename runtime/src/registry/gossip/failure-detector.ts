import type { ByteWriter } from "./byte-writer.ts";
import { type Target, writePing, writeProbe } from "./datagram.ts";
import type { GossipEnvironment } from "./environment.ts";
import type { LocalHealth } from "./health.ts";
import type { Isolation } from "./isolation.ts";
import type { Member } from "./member-entry.ts";
import type { Membership } from "./membership.ts";
import type { Outbox } from "./outbox.ts";
import { encodeStreamPing, readStreamMessage } from "./stream-message.ts";
import type { GossipTiming } from "./timing.ts";
import type { ViewDigest } from "./view-digest.ts";

/** Maximum number of probes made for others at a time. */
const maxRelays = 1_024;

/** A probe of this member. */
interface Probe {
  readonly target: Member;
  readonly number: number;
  indirectAt: number;
  indirect: boolean;
  acked: boolean;
  /** How many others were asked to probe as well. */
  helpers: number;
  /** Whether one of them said that it got no response either. */
  nacked: boolean;
}

/** A probe made for another member. */
interface Relay {
  readonly for: Target;
  /** The id of the member that is probed. */
  readonly target: string;
  readonly number: number;
  nackAt: number;
}

/**
 * Probes one member in each period: a ping, and without an acknowledgement in time, probes through
 * other members and a ping on a stream. A member that stays silent becomes a suspect.
 */
export class FailureDetector {
  readonly #env: GossipEnvironment;
  readonly #timing: GossipTiming;
  readonly #health: LocalHealth;
  readonly #isolation: Isolation;
  readonly #membership: Membership;
  readonly #outbox: Outbox;
  readonly #view: ViewDigest;
  readonly #relays = new Map<number, Relay>();
  #probe: Probe | undefined;
  #nextAt: number;
  #numbers = 0;
  /** The id of a member that others could not reach, nor could this one for them. */
  #doubted = "";

  constructor(parts: {
    readonly env: GossipEnvironment;
    readonly timing: GossipTiming;
    readonly health: LocalHealth;
    readonly isolation: Isolation;
    readonly membership: Membership;
    readonly outbox: Outbox;
    readonly view: ViewDigest;
  }) {
    this.#env = parts.env;
    this.#timing = parts.timing;
    this.#health = parts.health;
    this.#isolation = parts.isolation;
    this.#membership = parts.membership;
    this.#outbox = parts.outbox;
    this.#view = parts.view;
    this.#nextAt = this.#env.now() + this.#env.random() * this.#timing.periodMs;
  }

  dueAt(): number {
    const probe = this.#probe;
    const isWaiting = probe !== undefined && !probe.acked && !probe.indirect;
    let dueAt = isWaiting ? Math.min(this.#nextAt, probe.indirectAt) : this.#nextAt;
    for (const { nackAt } of this.#relays.values()) dueAt = Math.min(dueAt, nackAt);
    return dueAt;
  }

  advance(now: number): void {
    const probe = this.#probe;
    if (probe !== undefined && !probe.acked && !probe.indirect && now >= probe.indirectAt) {
      this.#askOthers(probe, now);
    }
    for (const [own, { nackAt, number, target, for: asker }] of this.#relays) {
      if (now < nackAt) continue;
      this.#relays.delete(own);
      this.#doubted = target;
      this.#outbox.send(asker, this.#step("nack", number));
    }
    if (now < this.#nextAt) return;
    const failed = probe !== undefined && !probe.acked;
    if (failed) this.#fail(probe, now);
    this.#begin(now, failed);
  }

  /** Gives probes in flight their full time again after a stall of this process. */
  restart(now: number): void {
    const { periodMs, timeoutMs } = this.#timing;
    if (this.#probe?.acked === false) {
      this.#probe.indirectAt = now + this.#health.stretch(timeoutMs);
      this.#nextAt = now + this.#health.stretch(periodMs);
    }
    for (const relay of this.#relays.values()) relay.nackAt = now + timeoutMs;
  }

  onPing(from: Target, number: number): void {
    // A sender that is suspected or dead learns of it at once, and can refute.
    const known = this.#membership.get(from.id);
    const told = known !== undefined && known.state !== "alive" ? known : undefined;
    this.#outbox.send(from, this.#step("ack", number), told);
  }

  onAck(number: number): void {
    if (this.#probe?.number === number) {
      this.#acknowledge(this.#probe);
      return;
    }
    const relay = this.#relays.get(number);
    if (relay === undefined) return;
    this.#relays.delete(number);
    this.#outbox.send(relay.for, this.#step("ack", relay.number));
  }

  onNack(number: number): void {
    const probe = this.#probe;
    if (probe?.number === number) probe.nacked = true;
  }

  onProbe(from: Target, number: number, target: Target): void {
    if (this.#relays.size >= maxRelays) return;
    const own = this.#nextNumber();
    const nackAt = this.#env.now() + 0.8 * this.#timing.timeoutMs;
    this.#relays.set(own, { for: from, target: target.id, number, nackAt });
    this.#outbox.send(target, this.#step("ping", own));
  }

  #begin(now: number, failed: boolean): void {
    this.#nextAt = now + this.#health.stretch(this.#timing.periodMs);
    this.#probe = undefined;
    const target = this.#takeDoubted() ?? this.#membership.live.next(failed);
    if (target === undefined) return;
    const number = this.#nextNumber();
    const indirectAt = now + this.#health.stretch(this.#timing.timeoutMs);
    const rest = { indirect: false, acked: false, helpers: 0, nacked: false };
    this.#probe = { target, number, indirectAt, ...rest };
    const told = target.state === "suspect" && this.#timing.lifeguard ? target : undefined;
    this.#outbox.send(target, this.#step("ping", number), told);
  }

  /**
   * A member that another one, and this one for it, could not reach is probed next: a dead one is
   * soon suspected by enough others, without an additional probe.
   */
  #takeDoubted(): Member | undefined {
    const id = this.#doubted;
    this.#doubted = "";
    const member = this.#timing.lifeguard ? this.#membership.get(id) : undefined;
    const { self } = this.#membership;
    if (member === undefined || member === self || !this.#membership.isLive(id)) return undefined;
    return member.suspicion?.isConfirmed === true ? undefined : member;
  }

  #askOthers(probe: Probe, now: number): void {
    probe.indirect = true;
    const { target, number } = probe;
    const { indirectProbes } = this.#timing;
    const isHelper = (member: Member) => member !== target && member.state === "alive";
    const helpers = this.#membership.live.pick(indirectProbes, isHelper);
    probe.helpers = helpers.length;
    for (const helper of helpers) {
      this.#outbox.send(helper, (writer) => writeProbe(writer, number, target));
    }
    const timeoutMs = Math.max(1, this.#nextAt - now);
    this.#env.request(target, encodeStreamPing("ping", target.id), timeoutMs, (response) => {
      if (response !== undefined && this.#probe === probe && isAckOf(response, target.id)) {
        this.#acknowledge(probe);
      }
    });
  }

  #acknowledge(probe: Probe): void {
    if (probe.acked) return;
    probe.acked = true;
    this.#health.add(-1);
  }

  #fail(probe: Probe, now: number): void {
    // A helper that sends a nack proves that this member can be reached. Those that are silent then
    // are probably beyond it, as the other side of a partition is.
    if (!probe.nacked) this.#health.add(Math.max(1, probe.helpers));
    if (probe.target.host !== this.#membership.self.host) this.#isolation.missed(now);
    if (this.#membership.isLive(probe.target.id)) this.#membership.suspect(probe.target);
  }

  #step(kind: "ping" | "ack" | "nack", number: number): (writer: ByteWriter) => void {
    return (writer) => writePing(writer, kind, number, this.#view.value);
  }

  #nextNumber(): number {
    this.#numbers = (this.#numbers + 1) >>> 0;
    return this.#numbers;
  }
}

function isAckOf(response: Uint8Array, id: string): boolean {
  try {
    const message = readStreamMessage(response);
    return message.kind === "ack" && message.id === id;
  } catch {
    return false;
  }
}
