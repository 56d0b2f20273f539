import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { hostname } from "node:os";
import { abortError, listenForAbort, throwIfAborted, untilAborted } from "../base/abort.ts";
import type { BackendState, StateListener } from "../base/backend-state.ts";
import { Closable } from "../base/closable.ts";
import { MicroError } from "../base/error.ts";
import { checkOptions } from "../base/option-check.ts";
import { FifoLock } from "./fifo-lock.ts";
import { HeldLease } from "./held-lease.ts";
import type { LeaseBackend, LeaseClaim } from "./lease-backend.ts";
import { leadKinds, lockKinds, lockListKinds } from "./option-kinds.ts";
import {
  defaultLockTtlMs,
  type LeaderStatus,
  type Leadership,
  type LeadOptions,
  type Lock,
  type LockListOptions,
  type LockOptions,
  type LockStatus,
  type Sync,
  type SyncGuarantees,
} from "./sync.ts";

const maxIdBytes = 512;

/** Locks and leader election on any backend that can grant leases. */
export class LeaseSync extends Closable implements Sync {
  readonly guarantees: SyncGuarantees;
  readonly #leases: LeaseBackend;
  readonly #line = new FifoLock();
  readonly #held = new Set<HeldLease>();
  readonly #attempts = new Set<Promise<HeldLease>>();
  readonly #closing: AbortController = new AbortController();

  constructor(leases: LeaseBackend, guarantees: SyncGuarantees) {
    super();
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
    checkOptions(`take the lock ${id}`, options, lockKinds);
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
    checkOptions(`take the leader ${id}`, options, leadKinds);
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

  async #list(kind: LeaseKind, options: LockListOptions = {}): Promise<readonly LockStatus[]> {
    checkOptions(`list ${kind}s`, options, lockListKinds);
    const { prefix = "", signal } = options;
    this.#requireOpen(`list ${kind}s`);
    throwIfAborted(signal);
    const leases = await untilAborted(this.#leases.list(signal), signal);
    return leases
      .flatMap(({ key, value, token, since, expiresAt }): LockStatus[] => {
        const id = idOf(kind, key);
        if (id?.startsWith(prefix) !== true) return [];
        const times = { since: new Date(since), expiresAt: new Date(expiresAt) };
        return [{ id, holder: value, token, ...times }];
      })
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  protected override async closeOnce(): Promise<void> {
    this.#closing.abort(closedError("wait for a lock"));
    await Promise.all([...this.#held].map((lease) => lease.revoke("its sync was closed")));
    await Promise.allSettled(this.#attempts);
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
    if (Buffer.byteLength(value) > maxIdBytes) {
      throw invalid(`the name of the holder of the ${what} is longer than ${maxIdBytes} bytes`);
    }
    const claim: LeaseClaim = { key: keyOf(kind, id), owner: randomUUID(), ttlMs, value };
    const wait: Wait = new Wait(what, waitMs, [signal, this.#closing.signal]);
    const contend = () => this.#contend(claim, what, wait, options.renewal !== "manual");
    // A caller that tries only once does not wait for its turn.
    const attempt = waitMs === 0 ? contend() : this.#line.stand(claim.key, wait.signal, contend);
    this.#attempts.add(attempt);
    try {
      return await untilAborted(attempt, [signal, this.#closing.signal], {
        late: (lease) => lease.end(),
      });
    } finally {
      attempt
        .catch(() => {})
        .finally(() => {
          this.#attempts.delete(attempt);
          wait.end();
        });
    }
  }

  /** Runs at the head of this process's queue: polls the backend until it grants the lease. */
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
        this.#held.add(lease);
        if (!wait.cancelled) return lease;
        await lease.end();
        throw wait.signal.reason;
      }
      wait.requireTime();
      await this.#leases.untilFree(claim.key, wait.signal);
      wait.requireTime();
    }
  }

  #requireOpen(what: string): void {
    if (this.isClosing) throw closedError(what);
  }
}

/** The time that one caller allows for getting a lock. */
class Wait {
  readonly #what: string;
  readonly #waitMs: number;
  readonly #controller = new AbortController();
  readonly #stopListening: () => void;
  /** Whether a signal fired; a lock granted just after the time limit is still accepted. */
  cancelled = false;
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(what: string, waitMs: number, signals: readonly (AbortSignal | undefined)[]) {
    this.#what = what;
    this.#waitMs = waitMs;
    for (const signal of signals) throwIfAborted(signal);
    this.#stopListening = listenForAbort(signals, (reason) => {
      this.cancelled = true;
      this.#controller.abort(abortError(reason));
    });
    if (waitMs > 0 && waitMs < 2 ** 31) {
      this.#timer = setTimeout(() => this.#controller.abort(this.#tooLong()), waitMs);
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * @throws MicroError when the wait is over; for a caller that tries only once, it is over at
   * once.
   */
  requireTime(): void {
    if (this.signal.aborted) throw this.signal.reason;
    if (this.#waitMs === 0) throw this.#tooLong();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#stopListening();
  }

  #tooLong(): MicroError {
    return new MicroError(
      "deadline_exceeded",
      `could not get the ${this.#what} within ${this.#waitMs} ms: others hold it`,
      { outcome: "not-executed" },
    );
  }
}

/** Locks and leaders share one backend, each under the name of its kind. */
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
