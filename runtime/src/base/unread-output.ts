/** A connection as {@link unreadOutput} sees it. */
export interface OutputHolder {
  /** Responses that wait because the peer does not read, in bytes. */
  readonly unsentBytes: number;
}

/** What all connections of the process may hold together, in bytes. */
const maxBytes = 512 * 1024 * 1024;

/** What a connection may hold in any case, in bytes. */
const freeBytes = 1024 * 1024;

/**
 * Limits the responses that all connections of the process hold together for peers that do not
 * read. Each connection has a limit of its own, but a peer may open many.
 */
class UnreadOutput {
  /** The connections that held more than {@link freeBytes} when they were last asked. */
  readonly #holders = new Set<OutputHolder>();

  /** Whether a connection should hold no further response. */
  isFull(holder: OutputHolder): boolean {
    if (holder.unsentBytes <= freeBytes) return false;
    this.#holders.add(holder);
    let sum = 0;
    for (const each of this.#holders) {
      const { unsentBytes } = each;
      if (unsentBytes <= freeBytes) this.#holders.delete(each);
      sum += unsentBytes;
    }
    return sum > maxBytes;
  }

  /** Called when a connection has ended. */
  forget(holder: OutputHolder): void {
    this.#holders.delete(holder);
  }
}

export const unreadOutput: UnreadOutput = new UnreadOutput();
