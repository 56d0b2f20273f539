import type { ByteWriter } from "./byte-writer.ts";
import { type Target, writePing, writeProbe } from "./datagram.ts";
import type { GossipEnvironment } from "./environment.ts";
import type { LocalHealth } from "./health.ts";
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
  /** How many of the helpers have not said yet that they got no response either. */
  silentHelpers: number;
}

/** A probe made for another member. */
interface Relay {
  readonly for: Target;
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
  readonly #membership: Membership;
  readonly #outbox: Outbox;
  readonly #view: ViewDigest;
  readonly #relays = new Map<number, Relay>();
  #probe: Probe | undefined;
  #nextAt: number;
  #numbers = 0;

  constructor(parts: {
    readonly env: GossipEnvironment;
    readonly timing: GossipTiming;
    readonly health: LocalHealth;
    readonly membership: Membership;
    readonly outbox: Outbox;
    readonly view: ViewDigest;
  }) {
    this.#env = parts.env;
    this.#timing = parts.timing;
    this.#health = parts.health;
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
    for (const [own, { nackAt, number, for: asker }] of this.#relays) {
      if (now < nackAt) continue;
      this.#relays.delete(own);
      this.#outbox.send(asker, this.#step("nack", number));
    }
    if (now < this.#nextAt) return;
    if (probe !== undefined && !probe.acked) this.#fail(probe);
    this.#begin(now);
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
    if (probe?.number === number && probe.silentHelpers > 0) probe.silentHelpers--;
  }

  onProbe(from: Target, number: number, target: Target): void {
    if (this.#relays.size >= maxRelays) return;
    const own = this.#nextNumber();
    const nackAt = this.#env.now() + 0.8 * this.#timing.timeoutMs;
    this.#relays.set(own, { for: from, number, nackAt });
    this.#outbox.send(target, this.#step("ping", own));
  }

  #begin(now: number): void {
    this.#nextAt = now + this.#health.stretch(this.#timing.periodMs);
    this.#probe = undefined;
    const target = this.#membership.live.next();
    if (target === undefined) return;
    const number = this.#nextNumber();
    const indirectAt = now + this.#health.stretch(this.#timing.timeoutMs);
    const rest = { indirect: false, acked: false, silentHelpers: 0 };
    this.#probe = { target, number, indirectAt, ...rest };
    const told = target.state === "suspect" && this.#timing.lifeguard ? target : undefined;
    this.#outbox.send(target, this.#step("ping", number), told);
  }

  #askOthers(probe: Probe, now: number): void {
    probe.indirect = true;
    const { target, number } = probe;
    const { indirectProbes } = this.#timing;
    const isHelper = (member: Member) => member !== target && member.state === "alive";
    const helpers = this.#membership.live.pick(indirectProbes, isHelper);
    probe.silentHelpers = helpers.length;
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

  #fail(probe: Probe): void {
    // A helper that sends a nack proves that this member can be reached; a silent one does not.
    const { silentHelpers, indirect } = probe;
    this.#health.add(indirect && this.#membership.live.size > 1 ? silentHelpers : 1);
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
