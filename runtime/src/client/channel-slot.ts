import { type Backoff, backoffMs } from "../backoff.ts";
import { deadlineAfter, monotonicNow } from "../deadline.ts";
import { asMicroError, MicroError } from "../error.ts";
import type { Logger } from "../logger.ts";
import type { Channel, Transport } from "../transport/transport.ts";

/** What the connections of every address share. */
export interface ChannelSlotOptions {
  /** Connections to one address at most. */
  readonly maxConnections: number;
  readonly dialTimeoutMs: number;
  /** Waits between dials that fail. */
  readonly reconnect: Backoff;
  readonly logger: Logger;
  readonly random: () => number;
}

/** Open calls on every connection of an address at which another connection is opened, if one more may be. */
const callsBeforeAnother = 1_024;

/** What is connected to one address. */
export class ChannelSlot {
  readonly address: string;
  /** What nodes at the address must speak for this to be theirs; undefined when they do not say. */
  readonly protocol: string | undefined;
  /** Ids of the known nodes that were called here. */
  readonly users: Set<string> = new Set();
  /** Whether a call asked for it since this was last set to false. */
  used = true;
  closed = false;
  readonly #transport: Transport;
  readonly #options: ChannelSlotOptions;
  readonly #stop = new AbortController();
  #channels: Channel[] = [];
  /** Channels that take no further call but have some open. */
  readonly #leaving = new Set<Channel>();
  #dialing: Promise<Channel> | undefined;
  #failures = 0;
  #notBefore = 0;
  #lastError: MicroError | undefined;

  constructor(
    address: string,
    protocol: string | undefined,
    transport: Transport,
    options: ChannelSlotOptions,
  ) {
    this.address = address;
    this.protocol = protocol;
    this.#transport = transport;
    this.#options = options;
  }

  get openCalls(): number {
    let calls = 0;
    for (const channel of this.#channels) calls += channel.openCalls;
    for (const channel of this.#leaving) calls += channel.openCalls;
    return calls;
  }

  get isDialing(): boolean {
    return this.#dialing !== undefined;
  }

  /** Why it is not dialled now; undefined when it may be. */
  get refusal(): MicroError | undefined {
    const waitMs = this.#notBefore - monotonicNow();
    if (waitMs <= 0) return undefined;
    const failures = this.#failures === 1 ? "a failure" : `${this.#failures} failures`;
    return new MicroError(
      "unavailable",
      `${this.#lastError?.message}; after ${failures} it is not dialled again for ${Math.ceil(waitMs)} ms`,
      { outcome: "not-executed", cause: this.#lastError },
    );
  }

  /** A channel that takes calls, if there is one. */
  ready(): Channel | undefined {
    this.used = true;
    const first = this.#channels[0];
    if (this.#channels.length === 1 && first?.state === "open") {
      if (first.openCalls >= callsBeforeAnother) this.#growFrom(first);
      return first;
    }
    return this.#leastLoaded();
  }

  /**
   * A channel, newly dialled if need be; calls that come together share one dial.
   * @throws MicroError `not-executed`, at once while the address is backed off from.
   */
  async connect(): Promise<Channel> {
    const ready = this.ready();
    if (ready !== undefined) return ready;
    if (this.#dialing === undefined) {
      const { refusal } = this;
      if (refusal !== undefined) throw refusal;
    }
    return this.#dialOnce();
  }

  /** Somebody new is at the address: what failed before says nothing of it. */
  forgive(): void {
    this.#failures = 0;
    this.#notBefore = 0;
  }

  /** Lets open calls end for at most `graceMs`, and closes. Idempotent. */
  async close(graceMs: number): Promise<void> {
    this.closed = true;
    this.#stop.abort(
      new MicroError("canceled", `${this.address} is no longer dialled: the client is closed`, {
        outcome: "not-executed",
      }),
    );
    const channels = [...this.#channels, ...this.#leaving];
    await Promise.all(channels.map((channel) => channel.close(graceMs)));
    await this.#dialing?.catch(() => undefined);
  }

  #leastLoaded(): Channel | undefined {
    let best: Channel | undefined;
    for (const channel of [...this.#channels]) {
      if (channel.state !== "open") this.#retire(channel);
      else if (best === undefined || channel.openCalls < best.openCalls) best = channel;
    }
    if (best !== undefined && best.openCalls >= callsBeforeAnother) this.#growFrom(best);
    return best;
  }

  #growFrom(busy: Channel): void {
    if (this.#channels.length >= this.#options.maxConnections || this.#dialing !== undefined)
      return;
    if (this.refusal !== undefined) return;
    this.#dialOnce().catch((error) =>
      this.#options.logger.debug(
        { address: this.address, openCalls: busy.openCalls, error },
        "no further connection could be opened; going on with those there are",
      ),
    );
  }

  #dialOnce(): Promise<Channel> {
    this.#dialing ??= this.#dial().finally(() => {
      this.#dialing = undefined;
    });
    return this.#dialing;
  }

  async #dial(): Promise<Channel> {
    const { dialTimeoutMs, logger } = this.#options;
    let channel: Channel;
    try {
      channel = await this.#transport.dial(this.address, {
        deadline: deadlineAfter(dialTimeoutMs),
        signal: this.#stop.signal,
      });
    } catch (reason) {
      const error = this.#dialError(reason);
      if (!this.closed) this.#failed(error);
      throw error;
    }
    if (this.closed) {
      await channel.close();
      throw asMicroError(this.#stop.signal.reason);
    }
    const openedAt = monotonicNow();
    this.#channels.push(channel);
    channel.closed.then((reason) => this.#gone(channel, openedAt, reason));
    logger.debug({ address: this.address, transport: this.#transport.name }, "connected");
    return channel;
  }

  #dialError(reason: unknown): MicroError {
    const cause = asMicroError(reason, "unavailable");
    // The time for dialling is this client's affair: for the call the node is not to be had.
    const code = cause.code === "deadline_exceeded" ? "unavailable" : cause.code;
    return new MicroError(code, cause.message, { outcome: "not-executed", cause });
  }

  #failed(error: MicroError): void {
    this.#failures++;
    this.#lastError = error;
    const { reconnect, random } = this.#options;
    this.#notBefore = monotonicNow() + backoffMs(reconnect, this.#failures, random);
  }

  #retire(channel: Channel): void {
    const index = this.#channels.indexOf(channel);
    if (index < 0) return;
    this.#channels.splice(index, 1);
    if (channel.state === "draining") this.#leaving.add(channel);
  }

  #gone(channel: Channel, openedAt: number, reason: MicroError | undefined): void {
    this.#retire(channel);
    this.#leaving.delete(channel);
    if (this.closed || reason === undefined) return;
    this.#options.logger.debug({ address: this.address, error: reason }, "connection ended");
    const steady = monotonicNow() - openedAt >= this.#options.reconnect.firstMs;
    if (steady) this.forgive();
    else if (this.#failures > 0) this.#failed(reason);
    // The first redial is immediate; another connection that does not last is backed off from.
    else this.#failures = 1;
  }
}
