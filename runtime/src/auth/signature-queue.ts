import { availableParallelism } from "node:os";
import type { Peer } from "../call/call.ts";
import { connectionOf } from "../call/connection-peer.ts";
import { hasPresentedInvalid } from "./invalid-credentials.ts";

/** Of so many turns, one is of a connection that has presented invalid credentials. */
const turnsOfSuspects = 4;

/** The waiting verifications by connection; the connection whose turn is next comes first. */
type Rows = Map<object, (() => void)[]>;

/**
 * Lets few signatures be verified at the same time, because each occupies a core. Connections take
 * turns, and those that have presented no invalid credential go first.
 */
export class SignatureQueue {
  readonly #most: number;
  readonly #trusted: Rows = new Map();
  readonly #suspects: Rows = new Map();
  #atWork = 0;
  #turn = 0;

  /** @param most signatures that are verified at the same time */
  constructor(most: number) {
    this.#most = most;
  }

  async run<T>(peer: Peer, verify: () => Promise<T>): Promise<T> {
    if (this.#atWork < this.#most) this.#atWork++;
    else await this.#wait(peer);
    try {
      return await verify();
    } finally {
      this.#leave();
    }
  }

  #wait(peer: Peer): Promise<void> {
    const connection = connectionOf(peer);
    const rows = hasPresentedInvalid(peer) ? this.#suspects : this.#trusted;
    return new Promise((resolve) => {
      const row = rows.get(connection);
      if (row === undefined) rows.set(connection, [resolve]);
      else row.push(resolve);
    });
  }

  /** Passes the place on. */
  #leave(): void {
    const ofSuspect = ++this.#turn % turnsOfSuspects === 0;
    const rows = ofSuspect ? [this.#suspects, this.#trusted] : [this.#trusted, this.#suspects];
    const begin = takeNext(rows[0]!) ?? takeNext(rows[1]!);
    if (begin === undefined) this.#atWork--;
    else begin();
  }
}

function takeNext(rows: Rows): (() => void) | undefined {
  const [next] = rows;
  if (next === undefined) return undefined;
  const [connection, row] = next;
  const begin = row.shift();
  rows.delete(connection);
  if (row.length > 0) rows.set(connection, row);
  return begin;
}

/** The signatures of the process. One core is left to everything else. */
export const signatures: SignatureQueue = new SignatureQueue(
  Math.max(1, Math.min(4, availableParallelism() - 1)),
);
