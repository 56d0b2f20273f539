import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { hostname } from "node:os";
import type { BackendState, StateListener } from "../backend.ts";
import { asMicroError, MicroError } from "../error.ts";
import { HeldLease } from "./held-lease.ts";
import type { LeaseClaim, Leases } from "./leases.ts";
import {
  defaultLockTtlMs,
  type LeaderStatus,
  type Leadership,
  type LeadOptions,
  type Lock,
  type LockListOptions,
  type LockOptions,
  type LockStatus,
  minLockTtlMs,
  type Sync,
  type SyncGuarantees,
} from "./sync.ts";
import { WaitingLine } from "./waiting-line.ts";

const maxIdBytes = 512;
/** The longest ttl, in milliseconds: a lease is to end some time. */
const maxTtlMs = 24 * 3_600_000;

/** Locks and leader election on anything that can grant leases. */
export class LeaseSync implements Sync {
  readonly guarantees: SyncGuarantees;
  readonly #leases: Leases;
  readonly #line = new WaitingLine();
  readonly #held = new Set<HeldLease>();
  readonly #closing: AbortController = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(leases: Leases, guarantees: SyncGuarantees) {
    this.#leases = leases;
    this.guarantees = guarantees;
    setMaxListeners(0, this.#closing.signal);
  }

  get name(): string {
    return this.#leases.name;
  }

  get state(): BackendState {
    return this.#leases.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#leases.onStateChange(listener);
  }

  async lock(id: string, options: LockOptions = {}): Promise<Lock> {
    const holder = options.holder ?? `${hostname()}/${process.pid}`;
    const lease = await this.#acquire("lock", id, holder, options);
    return {
      id,
      token: lease.token,
      get held() {
        return lease.held;
      },
      get signal() {
        return lease.signal;
      },
      renew: () => lease.renew(),
      unlock: () => lease.end(),
      [Symbol.asyncDispose]: async () => void (await lease.end()),
    };
  }

  async lead(id: string, options: LeadOptions = {}): Promise<Leadership> {
    const candidate = options.candidate ?? randomUUID();
    const lease = await this.#acquire("leader", id, candidate, options);
    return {
      id,
      candidate,
      epoch: lease.token,
      get held() {
        return lease.held;
      },
      get signal() {
        return lease.signal;
      },
      renew: () => lease.renew(),
      resign: () => lease.end(),
      [Symbol.asyncDispose]: async () => void (await lease.end()),
    };
  }

  async leader(id: string): Promise<LeaderStatus | undefined> {
    this.#requireOpen(`ask for the leader ${id}`);
    const holder = await this.#leases.holder(keyOf("leader", id));
    return holder === undefined ? undefined : { candidate: holder.value, epoch: holder.token };
  }

  locks(options?: LockListOptions): Promise<readonly LockStatus[]> {
    return this.#list("lock", options);
  }

  leaders(options?: LockListOptions): Promise<readonly LockStatus[]> {
    return this.#list("leader", options);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #list(
    kind: LeaseKind,
    { prefix = "", signal }: LockListOptions = {},
  ): Promise<readonly LockStatus[]> {
    this.#requireOpen(`list ${kind}s`);
    if (signal?.aborted === true) throw canceled(signal.reason);
    const leases = await this.#leases.list(signal);
    return leases
      .flatMap(({ key, value, token, since, expiresAt }): LockStatus[] => {
        const id = idOf(kind, key);
        if (id?.startsWith(prefix) !== true) return [];
        const times = { since: new Date(since), expiresAt: new Date(expiresAt) };
        return [{ id, holder: value, token, ...times }];
      })
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async #close(): Promise<void> {
    this.#closing.abort(closedError("wait for a lock"));
    await Promise.all([...this.#held].map((lease) => lease.revoke("its sync was closed")));
    await this.#line.empty();
    await this.#leases.close();
  }

  async #acquire(
    kind: LeaseKind,
    id: string,
    value: string,
    options: LockOptions,
  ): Promise<HeldLease> {
    const what = `${kind} ${id}`;
    this.#requireOpen(`take the ${what}`);
    const { ttlMs = defaultLockTtlMs, waitMs = Number.POSITIVE_INFINITY, signal } = options;
    if (!(ttlMs >= minLockTtlMs && ttlMs <= maxTtlMs)) {
      throw invalid(`the ttlMs of ${what} is ${ttlMs}; it takes ${minLockTtlMs} to ${maxTtlMs}`);
    }
    if (Buffer.byteLength(value) > maxIdBytes) {
      throw invalid(`the name of who takes the ${what} is longer than ${maxIdBytes} bytes`);
    }
    if (!(waitMs >= 0)) throw invalid(`the waitMs of ${what} is ${waitMs}; it takes 0 and more`);
    const claim: LeaseClaim = { key: keyOf(kind, id), owner: randomUUID(), ttlMs, value };
    const wait: Wait = new Wait(what, waitMs, [signal, this.#closing.signal]);
    const contend = () => this.#contend(claim, what, wait, options.renewal !== "manual");
    try {
      // Who asks only once does not wait for its turn.
      if (waitMs === 0) return await contend();
      return await this.#line.stand(claim.key, wait.signal, contend);
    } finally {
      wait.end();
    }
  }

  /** First in this process's line: asks the backend until it grants. */
  async #contend(
    claim: LeaseClaim,
    what: string,
    wait: Wait,
    automatic: boolean,
  ): Promise<HeldLease> {
    for (;;) {
      const asked = performance.now();
      const token = await this.#leases.acquire(claim);
      if (token !== undefined) {
        const lease = new HeldLease(what, this.#leases, claim, token, asked, automatic, (ended) =>
          this.#held.delete(ended),
        );
        if (this.#closing.signal.aborted) {
          await lease.end();
          throw closedError(`take the ${what}`);
        }
        this.#held.add(lease);
        return lease;
      }
      wait.requireTime();
      await this.#leases.untilFree(claim.key, wait.signal);
      wait.requireTime();
    }
  }

  #requireOpen(what: string): void {
    if (this.#closed !== undefined) throw closedError(what);
  }
}

/** The time that one caller gives to getting a lock. */
class Wait {
  readonly #what: string;
  readonly #waitMs: number;
  readonly #controller = new AbortController();
  readonly #signals: readonly (AbortSignal | undefined)[];
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(what: string, waitMs: number, signals: readonly (AbortSignal | undefined)[]) {
    this.#what = what;
    this.#waitMs = waitMs;
    this.#signals = signals;
    const fired = signals.find((signal) => signal?.aborted === true);
    if (fired !== undefined) throw canceled(fired.reason);
    for (const signal of signals) signal?.addEventListener("abort", this.#abort, { once: true });
    if (waitMs > 0 && waitMs < 2 ** 31) {
      this.#timer = setTimeout(() => this.#controller.abort(this.#tooLong()), waitMs);
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** @throws MicroError when the wait is over, as it is for one that asks only once. */
  requireTime(): void {
    if (this.signal.aborted) throw this.signal.reason;
    if (this.#waitMs === 0) throw this.#tooLong();
  }

  end(): void {
    clearTimeout(this.#timer);
    for (const signal of this.#signals) signal?.removeEventListener("abort", this.#abort);
  }

  readonly #abort = (event: Event): void => {
    this.#controller.abort(canceled((event.target as AbortSignal).reason));
  };

  #tooLong(): MicroError {
    return new MicroError(
      "deadline_exceeded",
      `could not get the ${this.#what} within ${this.#waitMs} ms: others hold it`,
      { outcome: "not-executed" },
    );
  }
}

function canceled(reason: unknown): MicroError {
  return asMicroError(reason, "canceled", { outcome: "not-executed" });
}

/** Locks and leaders stand beside each other in one backend, each under the name of its kind. */
type LeaseKind = "lock" | "leader";

function keyOf(kind: LeaseKind, id: string): string {
  if (typeof id !== "string" || id === "" || Buffer.byteLength(id) > maxIdBytes) {
    throw invalid(`the id of a ${kind} is text of 1 to ${maxIdBytes} bytes`);
  }
  if (/\p{Surrogate}/u.test(id)) throw invalid(`the id of a ${kind} is not well-formed Unicode`);
  return `${kind}/${id}`;
}

function idOf(kind: LeaseKind, key: string): string | undefined {
  return key.startsWith(`${kind}/`) ? key.slice(kind.length + 1) : undefined;
}

function closedError(what: string): MicroError {
  return new MicroError("unavailable", `cannot ${what}: the sync is closed`, {
    outcome: "not-executed",
  });
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
