import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Broker,
  type Code,
  type IncomingEvent,
  MicroError,
  type Subscription,
} from "@micro-es/runtime";
import type { OutgoingEvent } from "@micro-es/runtime/driver";

/** Brokers that reach each other, as those of several processes do. */
export interface BrokerFleet {
  readonly brokers: readonly Broker[];
  /** Creates another broker that reaches the others. The suite closes it. */
  join(options: { readonly closeGraceMs: number }): Broker;
  /** Resolves when every broker knows every subscription; immediately by default. */
  settle?(): Promise<void>;
  /** Closes the foundation of the brokers. The suite closes the brokers themselves first. */
  close?(): Promise<void>;
}

/** Creates a fleet that shares nothing with another one. Its brokers log nothing. */
export type CreateBrokers = (count: number) => Promise<BrokerFleet>;

/** A behaviour of a broker, the number of brokers needed to observe it, and the test of it. */
export type BrokerCase = readonly [name: string, brokers: number, body: BrokerCaseBody];

export type BrokerCaseBody = (
  stage: Stage,
  one: Broker,
  two: Broker,
  three: Broker,
) => Promise<void>;

/** The shared state of the cases on one fleet. */
export class Stage {
  readonly #fleet: BrokerFleet;
  readonly #joined: Broker[] = [];

  constructor(fleet: BrokerFleet) {
    this.#fleet = fleet;
  }

  /** Adds a broker to the fleet, which a case may close before its end. */
  join(options: { readonly closeGraceMs: number }): Broker {
    const broker = this.#fleet.join(options);
    this.#joined.push(broker);
    return broker;
  }

  async close(): Promise<void> {
    const brokers = [...this.#joined, ...this.#fleet.brokers];
    await Promise.all(brokers.map((broker) => broker.close()));
    await this.#fleet.close?.();
  }

  async settle(): Promise<void> {
    await this.#fleet.settle?.();
  }

  collect(): Collector {
    return new Collector();
  }
}

export class Collector {
  readonly events: IncomingEvent[] = [];

  readonly take = (event: IncomingEvent): void => {
    this.events.push(event);
  };

  async wait(count: number): Promise<[IncomingEvent, IncomingEvent]> {
    await until(() => this.events.length >= count);
    assert.equal(this.events.length, count);
    return this.events as [IncomingEvent, IncomingEvent];
  }
}

/** A gate that handlers wait for. */
export class Gate {
  open: () => void = () => {};
  readonly opened: Promise<void> = new Promise((resolve) => {
    this.open = resolve;
  });
}

export function textEvent(text: string): OutgoingEvent {
  return { body: Buffer.from(text), contentType: "text/plain", typeName: "" };
}

export function textOf(event: IncomingEvent): string {
  return Buffer.from(event.body).toString();
}

export function counted(stats: Partial<Subscription["stats"]>): Subscription["stats"] {
  return { delivered: 0, failed: 0, rejected: 0, dropped: 0, inFlight: 0, pending: 0, ...stats };
}

export function sum(
  subscriptions: readonly Subscription[],
  count: keyof Subscription["stats"],
): number {
  return subscriptions.reduce((all, each) => all + (each.stats[count] ?? 0), 0);
}

export async function rejects(promise: Promise<unknown>, code: Code): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof MicroError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}

/** Waits for a condition, at most ten seconds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const giveUp = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > giveUp)
      throw new assert.AssertionError({ message: "it never happened" });
    await sleep(2);
  }
}
