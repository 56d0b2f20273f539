import { setTimeout as sleep } from "node:timers/promises";
import { EventRejected, type Logger, MicroError } from "@micro-es/runtime";
import {
  type BackendAddress,
  type DeliveryQueue,
  type DeliverySettings,
  type EventRecord,
  type EventSource,
  waitUntilAborted,
} from "@micro-es/runtime/driver";
import type { ConnectionListener, NsqConnection } from "../link/connection.ts";
import { type NsqRefusal, nsqFailure } from "../link/failure.ts";
import type { KeptConnection } from "../link/kept-connection.ts";
import type { NsqLink } from "../link/link.ts";
import type { NsqMessage } from "../wire/frames.ts";
import { HeldEvent, type HeldEventHost } from "./held-event.ts";
import { decodeEvent, undecodedEvent } from "./message.ts";

/** Options of a {@link ChannelReader}. */
export interface ChannelReaderOptions {
  readonly link: NsqLink;
  readonly address: BackendAddress;
  readonly topic: string;
  /** The names of topic and channel on the server. */
  readonly nsqTopic: string;
  readonly channel: string;
  /** Of how many servers this is one. */
  readonly servers: number;
  readonly settings: DeliverySettings;
  readonly deliveries: DeliveryQueue;
  readonly maxEventBytes: number;
  readonly maxMessageBytes: number;
  readonly ackWaitMs: number;
  readonly logger: Logger;
}

/** Events that were finished and are remembered, in case nsqd did not hear of it. */
const maxRemembered = 4_096;
/** How long a message may still arrive after nsqd has confirmed that it sends no more. */
const lateMs = 10;

/**
 * Moves the events of a channel on one server to a subscription's queue. It subscribes again after
 * each loss of its connection, until it is closed.
 */
export class ChannelReader implements EventSource, HeldEventHost, ConnectionListener {
  readonly returnsFailed: boolean;
  readonly #options: ChannelReaderOptions;
  readonly #kept: KeptConnection;
  readonly #held = new Map<string, HeldEvent>();
  readonly #finished = new Set<string>();
  readonly #closing = new AbortController();
  #connection: NsqConnection | undefined;
  #touching: NodeJS.Timeout | undefined;
  #waiting = 0;
  #ready = 0;
  #isStopped = false;
  #isSettingReady = false;

  constructor(options: ChannelReaderOptions) {
    this.#options = options;
    const { link, address, settings } = options;
    // The channel of one subscription ends with it, and nsqd counts nothing beyond that.
    this.returnsFailed = settings.queue !== undefined;
    this.#kept = link.keep(address, (signal) => this.#dial(signal));
  }

  /**
   * Begins to take events. Resolves after the first attempt.
   * @returns why that failed, if so.
   */
  async begin(): Promise<MicroError | undefined> {
    if (this.#isStopped) return undefined;
    const kept = this.#kept;
    const tried = waitUntilAborted(this.#closing.signal, (done) => kept.onAttempt(done));
    kept.begin();
    this.#touching = setInterval(() => this.#touch(), this.#options.ackWaitMs / 3);
    await tried;
    return kept.failure;
  }

  /** Takes no more events; held ones are still finished. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const connection = this.#connection;
    if (connection?.isOpen !== true) return;
    try {
      await connection.request("CLS");
      // nsqd may be about to send one more, which is handled like the others.
      await sleep(lateMs);
    } catch (error) {
      this.#log("debug", error, "a subscription could not be ended at nsqd");
    }
  }

  /** Ends everything; resolves when all held events are back in the channel. */
  async close(): Promise<void> {
    this.#isStopped = true;
    this.#closing.abort();
    clearInterval(this.#touching);
    await this.#options.link.drop(this.#kept);
  }

  waitingChanged(by: 1 | -1): void {
    this.#waiting += by;
    if (this.#isSettingReady) return;
    this.#isSettingReady = true;
    setImmediate(() => {
      this.#isSettingReady = false;
      this.#setReady();
    });
  }

  released(event: HeldEvent, isHandled: boolean): void {
    this.#held.delete(event.id);
    if (!isHandled) return;
    this.#finished.add(event.id);
    if (this.#finished.size <= maxRemembered) return;
    const [oldest = ""] = this.#finished;
    this.#finished.delete(oldest);
  }

  message(message: NsqMessage): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { id, attempts } = message;
    if (this.#finished.has(id)) {
      connection.send("FIN", id);
      return;
    }
    const before = this.#held.get(id);
    if (before !== undefined) {
      before.renew(connection);
      return;
    }
    const { deliveries, topic, maxEventBytes } = this.#options;
    const event = new HeldEvent(id, connection, this);
    this.#held.set(id, event);
    const past = attempts - 1;
    let record: EventRecord;
    let failure: Error | undefined;
    try {
      record = decodeEvent(topic, message, maxEventBytes);
      failure = this.#failureOf(record, past);
    } catch (cause) {
      record = undecodedEvent(topic, message, maxEventBytes);
      const reason = `message ${id} on ${topic} is not an event: ${(cause as Error).message}`;
      failure = new EventRejected(reason, { cause });
    }
    if (!deliveries.accept(record, event, past, failure)) event.giveBack();
  }

  notTaken(refusal: NsqRefusal): void {
    const isLate = refusal.word === "E_FIN_FAILED";
    this.#log(
      isLate ? "warn" : "debug",
      refusal,
      isLate
        ? "a handler took longer than nsqd allows (--max-msg-timeout), or its process was stopped meanwhile; its event is delivered again"
        : "nsqd has taken an event back",
    );
  }

  async #dial(signal: AbortSignal): Promise<NsqConnection> {
    const { link, address, nsqTopic, channel, ackWaitMs, maxMessageBytes } = this.#options;
    const connection = await link.dial(address, ackWaitMs, maxMessageBytes, signal);
    try {
      connection.listen(this);
      this.#connection = connection;
      await connection.request(`SUB ${nsqTopic} ${channel}`);
      this.#ready = 0;
      this.#setReady();
      return connection;
    } catch (error) {
      connection.destroy(error as Error);
      throw nsqFailure(error, `subscribe to ${this.#options.topic}`);
    }
  }

  /** Asks for as many events as can be handled at once, besides those that wait here. */
  #setReady(): void {
    const connection = this.#connection;
    if (connection?.isOpen !== true || this.#isStopped) return;
    const { settings, servers, deliveries } = this.#options;
    const share = Math.max(1, Math.floor(settings.maxInFlight / servers));
    const mayWait = deliveries.hasRoomForBytes ? Math.min(this.#waiting, settings.maxPending) : 0;
    const ready = Math.min(share + mayWait, connection.features.maxReady);
    if (ready === this.#ready) return;
    this.#ready = ready;
    connection.send("RDY", ready);
  }

  #touch(): void {
    for (const event of this.#held.values()) event.touch();
  }

  #failureOf({ id }: EventRecord, past: number): Error | undefined {
    const { topic, settings } = this.#options;
    if (past < settings.maxDeliveries) return undefined;
    return new MicroError(
      "aborted",
      `event ${id} on ${topic} was delivered ${past} times, and no handling ended: the process stopped or lost its connection to nsqd in the last one`,
    );
  }

  #log(level: "debug" | "warn", error: unknown, message: string): void {
    const { topic, settings, address, logger } = this.#options;
    logger[level]({ topic, queue: settings.queue, server: address.text, error }, message);
  }
}
