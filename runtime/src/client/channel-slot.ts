import { type Backoff, backoffMs } from "../base/backoff.ts";
import { deadlineAfter, monotonicNow } from "../base/deadline.ts";
import { asMicroError, MicroError } from "../base/error.ts";
import type { Logger } from "../base/logger.ts";
import { settleAll } from "../base/settle-all.ts";
import type { ServerVerification } from "../call/credential-source.ts";
import type { Channel, Transport } from "../transport/transport.ts";

/** Options shared by the connections of all addresses. */
export interface ChannelSlotOptions {
  /** Maximum number of connections to one address. */
  readonly maxConnections: number;
  readonly dialTimeoutMs: number;
  /** Delays between failed dials. */
  readonly reconnect: Backoff;
  readonly logger: Logger;
  readonly random: () => number;
}

/** Time that a dial in progress gets to end when the client closes, in milliseconds. */
const partingMs = 1_000;

/**
 * Another connection to an address is opened when every existing one has this many open calls, up
 * to the limit.
 */
const callsBeforeAnother = 1_024;

/** The connections to one address. */
export class ChannelSlot {
  readonly address: string;
  /** The protocol required of nodes at the address; undefined if they do not specify one. */
  readonly protocol: string | undefined;
  /**
   * The service whose servers are verified by name; undefined if the connections are shared by all
   * services.
   */
  readonly service: string | undefined;
  /** Ids of the known nodes called through this slot. */
  readonly users: Set<string> = new Set();
  /** Whether a call has used it since this was last set to false. */
  used = true;
  closed = false;
  readonly #transport: Transport;
  readonly #options: ChannelSlotOptions;
  readonly #stop = new AbortController();
  #channels: Channel[] = [];
  /** Channels that accept no new calls but still have open ones. */
  readonly #leaving = new Set<Channel>();
  #dialing: Promise<Channel> | undefined;
  #failures = 0;
  #notBefore = 0;
  #lastError: MicroError | undefined;

  constructor(
    address: string,
    protocol: string | undefined,
    service: string | undefined,
    transport: Transport,
    options: ChannelSlotOptions,
  ) {
    this.address = address;
    this.protocol = protocol;
    this.service = service;
    this.#transport = transport;
    this.#options = options;
  }

  get openCalls(): number {
    let calls = 0;
    for (const channel of this.#channels) calls += channel.openCalls;
    for (const channel of this.#leaving) calls += channel.openCalls;
    return calls;
  }

  /** How its connections to a service verify the server; see `Transport.verifies`. */
  verifies(service: string): ServerVerification | undefined {
    return this.#transport.verifies?.(this.address, this.service ?? service);
  }

  get isDialing(): boolean {
    return this.#dialing !== undefined;
  }

  /** Why the address cannot be dialled now; undefined if it can. */
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

  /** A channel that accepts calls, if there is one. */
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
   * Returns a channel, dialling if necessary; concurrent calls share one dial.
   * @throws MicroError `not-executed`, immediately while the address is backing off.
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

  /**
   * Resets the backoff, for example because a new node is at the address and earlier failures say
   * nothing about it.
   */
  resetBackoff(): void {
    this.#failures = 0;
    this.#notBefore = 0;
  }

  /** Waits at most `graceMs` for open calls, and closes. Idempotent. */
  async close(graceMs: number): Promise<void> {
    this.closed = true;
    this.#stop.abort(
      new MicroError("canceled", `${this.address} is no longer dialled: the client is closed`, {
        outcome: "not-executed",
      }),
    );
    const channels = [...this.#channels, ...this.#leaving];
    const [failure] = await settleAll(channels, (channel) => channel.close(graceMs));
    // A transport that ignores the signal must not keep the client from closing.
    if (this.#dialing !== undefined) await this.#dialEnds(this.#dialing);
    if (failure !== undefined) throw failure.reason;
  }

  #dialEnds(dialing: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, partingMs);
      const ended = () => {
        clearTimeout(timer);
        resolve();
      };
      dialing.then(ended, ended);
    });
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
        ...(this.service !== undefined && { service: this.service }),
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
    // The dial timeout is internal to this client: to the call, the node is unavailable.
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
    const lasted = monotonicNow() - openedAt >= this.#options.reconnect.firstMs;
    // Many servers and proxies end connections after some time or some calls; the next one is as
    // good.
    if (channel.isEstablished !== false || lasted) this.resetBackoff();
    else if (this.#failures > 0) this.#failed(reason);
    // A server may close a connection just as it is used for the first time; only a second such
    // connection counts as a failed dial.
    else this.#failures = 1;
  }
}
