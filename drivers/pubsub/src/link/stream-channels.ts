import type { Channel } from "@micro-es/runtime/driver";

/** Streams on one connection. The service allows about 100 calls on each. */
const perChannel = 50;

/** A place for one stream. */
export interface StreamPlace {
  readonly channel: Channel;
  /** To be called once, when the stream has ended. */
  readonly release: () => void;
}

/** Connections for streams, apart from requests, which must not wait for a stream to end. */
export class StreamChannels {
  readonly #dial: () => Promise<Channel>;
  readonly #streams = new Map<Channel, number>();
  /** Those that wait for the connection that is being dialed. */
  #dialing: Promise<Channel> | undefined;
  #closed = false;

  constructor(dial: () => Promise<Channel>) {
    this.#dial = dial;
  }

  /** @throws MicroError when no connection can be made. */
  async take(): Promise<StreamPlace> {
    for (;;) {
      for (const [channel, streams] of this.#streams) {
        if (channel.state === "open" && streams < perChannel) return this.#place(channel);
      }
      this.#dialing ??= this.#open().finally(() => {
        this.#dialing = undefined;
      });
      await this.#dialing;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#dialing?.catch(() => {});
    await Promise.all([...this.#streams.keys()].map((channel) => channel.close()));
  }

  async #open(): Promise<Channel> {
    const channel = await this.#dial();
    if (this.#closed) {
      await channel.close();
      throw new Error("the connections are closed");
    }
    this.#streams.set(channel, 0);
    void channel.closed.then(() => this.#streams.delete(channel));
    return channel;
  }

  #place(channel: Channel): StreamPlace {
    this.#streams.set(channel, (this.#streams.get(channel) ?? 0) + 1);
    return {
      channel,
      release: () => {
        const streams = this.#streams.get(channel);
        if (streams === undefined) return;
        this.#streams.set(channel, streams - 1);
        // One is kept for the next stream.
        if (streams > 1 || this.#streams.size === 1) return;
        this.#streams.delete(channel);
        void channel.close();
      },
    };
  }
}
