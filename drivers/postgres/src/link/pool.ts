import { MicroError } from "@micro-es/runtime";
import { abortError, untilAborted, waitUntilAborted } from "@micro-es/runtime/driver";
import type { Session } from "./session.ts";

/**
 * A bounded number of sessions, each used by one caller at a time. Work must not ask for a second
 * session while it has one.
 */
export class SessionPool {
  readonly #connect: () => Promise<Session>;
  readonly #most: number;
  readonly #timeoutMs: number;
  readonly #idle: Session[] = [];
  readonly #inUse = new Set<Session>();
  readonly #waiting = new Set<() => void>();
  /** Raised when all present sessions are to be abandoned. */
  #generation = 0;
  #size = 0;
  #isClosed = false;

  constructor(connect: () => Promise<Session>, most: number, timeoutMs: number) {
    this.#connect = connect;
    this.#most = most;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Runs work on a session of its own. When the signal fires the caller is released at once; the
   * work ends in its own time.
   * @throws MicroError `resource_exhausted`, not executed, when no session becomes free in time.
   */
  run<T>(work: (session: Session) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return untilAborted(this.#run(work, signal), signal);
  }

  /** Gives up all sessions: idle ones now, others when their work is done. */
  clear(): void {
    this.#generation++;
    for (const session of this.#idle.splice(0)) {
      this.#size--;
      session.destroy();
    }
    this.#wake();
  }

  /** Waits for the sessions in use as long as their statements may take, and ends all of them. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const wake of [...this.#waiting]) wake();
    await Promise.all(this.#idle.splice(0).map((session) => session.close()));
    for (const session of this.#inUse) session.destroy();
  }

  async #run<T>(work: (session: Session) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const generation = this.#generation;
    const session = await this.#take(signal);
    try {
      return await work(session);
    } finally {
      this.#release(session, generation);
    }
  }

  async #take(signal: AbortSignal | undefined): Promise<Session> {
    const late = performance.now() + this.#timeoutMs;
    for (;;) {
      if (this.#isClosed) throw closedPool();
      if (signal?.aborted === true) {
        // It may have been woken for a session that another can use.
        this.#wake();
        throw abortError(signal.reason);
      }
      const idle = this.#idle.pop();
      if (idle !== undefined) {
        if (!idle.isOpen) {
          this.#size--;
          continue;
        }
        this.#inUse.add(idle);
        return idle;
      }
      if (this.#size < this.#most) return await this.#add();
      const leftMs = late - performance.now();
      if (leftMs <= 0) throw this.#noneFree();
      await this.#untilFree(leftMs, signal);
    }
  }

  async #add(): Promise<Session> {
    this.#size++;
    try {
      const session = await this.#connect();
      if (this.#isClosed) {
        session.destroy();
        throw closedPool();
      }
      this.#inUse.add(session);
      return session;
    } catch (error) {
      this.#size--;
      this.#wake();
      throw error;
    }
  }

  #release(session: Session, generation: number): void {
    this.#inUse.delete(session);
    if (session.isOpen && generation === this.#generation && !this.#isClosed) {
      this.#idle.push(session);
    } else {
      this.#size--;
      session.destroy();
    }
    this.#wake();
  }

  #untilFree(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return waitUntilAborted(signal, (done) => {
      const timer = setTimeout(done, ms);
      this.#waiting.add(done);
      return () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
      };
    });
  }

  #wake(): void {
    const [first] = this.#waiting;
    first?.();
  }

  #noneFree(): MicroError {
    return new MicroError(
      "resource_exhausted",
      `all ${this.#most} connections to PostgreSQL were in use for ${this.#timeoutMs} ms; raise maxConnections`,
      { outcome: "not-executed" },
    );
  }
}

function closedPool(): MicroError {
  return new MicroError("unavailable", "cannot use PostgreSQL: the connection is closed", {
    outcome: "not-executed",
  });
}
