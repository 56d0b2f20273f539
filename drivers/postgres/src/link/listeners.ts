type Listener = (payload: string | undefined) => void;

/** Those who wait for notifications, by channel. */
export class Listeners {
  readonly #byChannel = new Map<string, Set<Listener>>();

  get channels(): readonly string[] {
    return [...this.#byChannel.keys()];
  }

  /** @returns whether it is the first of the channel. */
  add(channel: string, listener: Listener): boolean {
    const there = this.#byChannel.get(channel);
    if (there !== undefined) {
      there.add(listener);
      return false;
    }
    this.#byChannel.set(channel, new Set([listener]));
    return true;
  }

  /** @returns whether it was the last of the channel. */
  delete(channel: string, listener: Listener): boolean {
    const there = this.#byChannel.get(channel);
    if (there === undefined || !there.delete(listener) || there.size > 0) return false;
    return this.#byChannel.delete(channel);
  }

  call(channel: string, payload: string | undefined): void {
    for (const listener of [...(this.#byChannel.get(channel) ?? [])]) listener(payload);
  }
}
