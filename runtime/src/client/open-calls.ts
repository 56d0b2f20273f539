import type { OutboundCall } from "./outbound-call.ts";

/** Counts the calls of a client that have not ended. */
export class OpenCalls {
  count = 0;
  #idle: (() => void) | undefined;

  begin(): void {
    this.count++;
  }

  end(call: OutboundCall): void {
    call.release();
    if (--this.count === 0) this.#idle?.();
  }

  /** Resolves when no call is open, or when the time is up. */
  wait(graceMs: number): Promise<void> {
    if (this.count === 0 || graceMs <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#idle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
