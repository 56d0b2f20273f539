import type { Deadline } from "../../base/deadline.ts";

/**
 * Numbers this registry's queries and detects when they come back to it. A query that came back
 * proves that this process receives packets and has read everything sent before it; only then is
 * silence significant.
 */
export class QueryEcho {
  #sent = 0;
  #heard = 0;
  /** When the last query came back. */
  heardAt: Deadline = Number.NEGATIVE_INFINITY;

  /** The number of a new query; its last 16 bits are the id of its packet and never 0. */
  next(): number {
    this.#sent++;
    if ((this.#sent & 0xffff) === 0) this.#sent++;
    return this.#sent;
  }

  /** Processes a packet that came back. */
  hear(packet: Buffer): void {
    if (packet.length < 4) return;
    const id = packet.readUInt16BE(0);
    const isResponse = (packet.readUInt8(2) & 0x80) !== 0;
    if (id === 0 || isResponse) return;
    const ahead = (id - (this.#heard & 0xffff)) & 0xffff;
    if (ahead === 0 || this.#heard + ahead > this.#sent) return;
    this.#heard += ahead;
    this.heardAt = performance.now();
  }

  /** Whether the query with this number, or a later one, came back. */
  has(query: number): boolean {
    return this.#heard >= query;
  }
}
