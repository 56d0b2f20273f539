import { setTimeout as sleep } from "node:timers/promises";
import { type Broker, MicroError } from "@micro-es/runtime";
import type { Published } from "../check-delivery.ts";

/** Publishes events, many at once, and keeps the result of each. */
export class Publisher implements Published {
  readonly acked = new Set<string>();
  readonly unsure = new Set<string>();
  readonly refused = new Set<string>();
  readonly #broker: Broker;
  readonly #pauseMs: number;
  #next = 0;

  /** @param pauseMs pause after a failed publication: without a server it fails at once. */
  constructor(broker: Broker, pauseMs: number = 50) {
    this.#broker = broker;
    this.#pauseMs = pauseMs;
  }

  get sent(): number {
    return this.#next;
  }

  async publish(count: number, atOnce: number): Promise<void> {
    const end = this.#next + count;
    const work = async () => {
      while (this.#next < end) await this.#one(`e${this.#next++}`);
    };
    await Promise.all(Array.from({ length: atOnce }, work));
  }

  async #one(id: string): Promise<void> {
    const event = { id, body: Buffer.from(id), contentType: "text/plain", typeName: "" };
    try {
      await this.#broker.publish("work", event);
      this.acked.add(id);
    } catch (error) {
      const certain = error instanceof MicroError && error.outcome === "not-executed";
      (certain ? this.refused : this.unsure).add(id);
      await sleep(this.#pauseMs);
    }
  }
}
