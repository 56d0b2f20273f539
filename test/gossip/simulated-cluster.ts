import type { Target } from "../../runtime/src/registry/gossip/datagram.ts";
import type {
  GossipEnvironment,
  RequestFailure,
} from "../../runtime/src/registry/gossip/environment.ts";
import { GossipMember } from "../../runtime/src/registry/gossip/gossip-member.ts";
import type { Endpoint } from "../../runtime/src/registry/gossip/member-update.ts";
import { sealBytes } from "../../runtime/src/registry/gossip/outbox.ts";
import type { GossipTiming } from "../../runtime/src/registry/gossip/timing.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { EventHeap } from "./event-heap.ts";

/** Ethernet, IP and UDP headers of a datagram, which the traffic of a member includes. */
const headerBytes = 42;

/** A change of a member as another one saw it. */
export interface Sighting {
  readonly at: number;
  readonly observer: number;
  readonly subject: number;
  readonly live: boolean;
}

export interface SimulatedNode {
  readonly index: number;
  readonly member: GossipMember;
  alive: boolean;
  /** Whether its machine runs, which refuses connections to a process that ended. */
  machineAlive: boolean;
  killedAt: number;
  /** It handles nothing before this time, as a process whose event loop is blocked. */
  blockedUntil: number;
  sentDatagrams: number;
  sentBytes: number;
  /** When `advance` is due. */
  dueAt: number;
}

export interface SimulationOptions {
  readonly timing: GossipTiming;
  readonly seed?: number;
  /** The fraction of datagrams that are lost. */
  readonly loss?: number;
  /** Whether all members run on one machine; otherwise each has its own. */
  readonly oneMachine?: boolean;
}

/** Members on a simulated network, in virtual time: the same seed gives the same run. */
export class SimulatedCluster {
  readonly nodes: SimulatedNode[] = [];
  readonly sightings: Sighting[] = [];
  loss: number;
  /** Whether a datagram or a stream from one node to another passes. */
  passes: (from: number, to: number) => boolean = () => true;
  readonly #timing: GossipTiming;
  readonly #oneMachine: boolean;
  readonly #random: () => number;
  readonly #events = new EventHeap();
  #now = 0;

  constructor({ timing, seed = 1, loss = 0, oneMachine = false }: SimulationOptions) {
    this.#timing = timing;
    this.#oneMachine = oneMachine;
    this.#random = seededRandom(seed);
    this.loss = loss;
  }

  get now(): number {
    return this.#now;
  }

  /** Adds a member, which joins through an earlier one. */
  add(): SimulatedNode {
    const index = this.nodes.length;
    const node = this.#create(index);
    this.nodes.push(node);
    const through = this.nodes[Math.floor(this.#random() * index)];
    if (through !== undefined) node.member.join(through.member.membership.self, () => {});
    return node;
  }

  /** Adds members that all know each other, as some time after they joined. */
  assemble(count: number): void {
    for (let index = 0; index < count; index++) this.nodes.push(this.#create(this.nodes.length));
    const updates = this.nodes.map(({ member }) =>
      member.membership.updateOf(member.membership.self),
    );
    for (const { member } of this.nodes) {
      for (const update of updates) if (update.id !== member.id) member.membership.apply(update);
      for (const { id } of updates) member.membership.queue.delete(id);
    }
    this.sightings.length = 0;
  }

  /** Runs for a duration of virtual time, in milliseconds. */
  run(ms: number): void {
    this.#runUntil(this.#now + ms);
  }

  /** Runs until a condition holds, checked every 50 ms; false if it does not hold in time. */
  until(condition: () => boolean, withinMs: number): boolean {
    const end = this.#now + withinMs;
    while (!condition()) {
      if (this.#now >= end) return false;
      this.#runUntil(Math.min(end, this.#now + 50));
    }
    return true;
  }

  /** Ends a process without a goodbye, or its machine. */
  kill(node: SimulatedNode, { machine = false }: { machine?: boolean } = {}): void {
    node.alive = false;
    node.machineAlive = !machine;
    node.killedAt = this.#now;
  }

  /** Blocks the event loop of a process. */
  block(node: SimulatedNode, ms: number): void {
    node.blockedUntil = Math.max(node.blockedUntil, this.#now + ms);
  }

  #runUntil(end: number): void {
    for (let event = this.#events.first; event !== undefined && event.at <= end; ) {
      this.#events.pop();
      this.#now = event.at;
      event.run();
      event = this.#events.first;
    }
    this.#now = end;
  }

  #create(index: number): SimulatedNode {
    let wake = Number.POSITIVE_INFINITY;
    const env: GossipEnvironment = {
      now: () => this.#now,
      random: this.#random,
      send: (to, payload) => this.#send(node, to, payload),
      request: (to, message, timeoutMs, done) => this.#request(node, to, message, timeoutMs, done),
      wakeAt: (at) => {
        if (node !== undefined) node.dueAt = at;
        if (at >= wake) return;
        wake = at;
        this.#events.push(at, awake);
      },
      recordsChanged: () => {},
      isolationChanged: () => {},
      memberChanged: ({ port }, live) => {
        this.sightings.push({ at: this.#now, observer: index, subject: port - 1, live });
      },
    };
    const awake = () => {
      if (wake > this.#now || !node.alive) return;
      wake = Number.POSITIVE_INFINITY;
      if (node.blockedUntil > this.#now) {
        wake = node.blockedUntil;
        this.#events.push(wake, awake);
      } else if (node.dueAt > this.#now) {
        wake = node.dueAt;
        this.#events.push(wake, awake);
      } else node.member.advance();
    };
    let node: SimulatedNode = undefined as never;
    const member = new GossipMember(idOf(index), this.#endpointOf(index), env, this.#timing);
    const rest = {
      alive: true,
      machineAlive: true,
      killedAt: Number.POSITIVE_INFINITY,
      blockedUntil: 0,
      sentDatagrams: 0,
      sentBytes: 0,
    };
    node = { index, member, dueAt: this.#now, ...rest };
    return node;
  }

  /** Runs something at a node once its event loop is free, timers first. */
  #at(node: SimulatedNode, at: number, run: () => void): void {
    this.#events.push(at, () => {
      if (!node.alive) return;
      if (node.blockedUntil > this.#now) this.#at(node, node.blockedUntil + 0.01, run);
      else run();
    });
  }

  #send(from: SimulatedNode, to: Target, payload: Uint8Array): void {
    from.sentDatagrams++;
    from.sentBytes += payload.length + sealBytes + headerBytes;
    const receiver = this.nodes[to.port - 1];
    if (receiver === undefined || receiver.member.id !== to.id) return;
    if (this.#random() < this.loss || !this.passes(from.index, receiver.index)) return;
    const { id, membership } = from.member;
    const source = { id, host: membership.self.host, port: membership.self.port };
    this.#at(receiver, this.#now + this.#delay(), () => receiver.member.receive(source, payload));
  }

  #request(
    from: SimulatedNode,
    to: Endpoint,
    message: Uint8Array,
    timeoutMs: number,
    done: (response: Uint8Array | undefined, failure?: RequestFailure) => void,
  ): void {
    let isDone = false;
    const finish = (response: Uint8Array | undefined, failure?: RequestFailure) => {
      if (isDone) return;
      isDone = true;
      done(response, failure);
    };
    this.#at(from, this.#now + timeoutMs, () => finish(undefined, "silent"));
    const receiver = this.nodes[to.port - 1];
    if (receiver === undefined || !this.#passesBoth(from, receiver)) return;
    if (!receiver.alive) {
      if (receiver.machineAlive) {
        this.#at(from, this.#now + this.#streamDelay(), () => finish(undefined, "refused"));
      }
      return;
    }
    this.#at(receiver, this.#now + this.#streamDelay(), () => {
      const response = receiver.member.serve(message);
      if (response === undefined || !this.#passesBoth(from, receiver)) return;
      this.#at(from, this.#now + this.#streamDelay(), () => finish(response));
    });
  }

  #endpointOf(index: number): Endpoint {
    const machine = this.#oneMachine ? 0 : index;
    return { host: `10.0.${machine >> 8}.${machine & 255}`, port: index + 1 };
  }

  #passesBoth(one: SimulatedNode, other: SimulatedNode): boolean {
    return this.passes(one.index, other.index) && this.passes(other.index, one.index);
  }

  #delay(): number {
    return 0.5 + 4.5 * this.#random();
  }

  /** A round trip for the connection, and a retransmission for each lost packet. */
  #streamDelay(): number {
    let delay = 3 * this.#delay();
    while (this.#random() < this.loss) delay += 200;
    return delay;
  }
}

function idOf(index: number): string {
  return (index + 1).toString(16).padStart(16, "0");
}
