import type { MicroError } from "@micro-es/runtime";
import {
  type Backoff,
  backoffMs,
  pauseUntilAborted,
  sharedAbortController,
  untilAborted,
  waitUntilAborted,
} from "@micro-es/runtime/driver";
import type { Channel, ConsumeMessage } from "amqplib";
import { rabbitMqFailure, unavailable } from "../link/failure.ts";
import type { RabbitMqLink } from "../link/link.ts";

/** Options of a {@link KeptConsumer}. */
export interface KeptConsumerOptions {
  readonly link: RabbitMqLink;
  readonly queue: string;
  /** Whether others consume from the queue too. */
  readonly isShared: boolean;
  take(message: ConsumeMessage): void;
  /** It consumes again, after a loss. */
  restored?(): void;
  /** It could not consume again. If that returns true, it gives up. */
  failed?(error: MicroError): boolean;
}

/** A channel that consumes. */
interface Consumption {
  /** Resolves when the channel has ended. */
  readonly lost: Promise<void>;
}

/** Waits before a queue is consumed again that could not be. */
const backoff: Backoff = { firstMs: 50, factor: 2, mostMs: 1_000, jitter: 0.3 };
/** How long a queue may exist that was never consumed, in milliseconds. */
const expiresMs = 60_000;

/**
 * Consumes a queue that exists as long as it is consumed, and does so again after each loss of its
 * channel. Messages are lost with the channel.
 */
export class KeptConsumer {
  readonly #options: KeptConsumerOptions;
  readonly #closing: AbortController = sharedAbortController();
  #channel: Channel | undefined;
  #keeping: Promise<void> | undefined;

  constructor(options: KeptConsumerOptions) {
    this.#options = options;
  }

  /** Declares the queue and consumes it. @throws MicroError when that is not possible. */
  async begin(what: string, signal?: AbortSignal): Promise<void> {
    this.#keeping = this.#keep(await this.#consume(what, signal));
  }

  /** Ends consuming, and with it the queue unless others consume it. Never rejects. */
  async close(): Promise<void> {
    this.#closing.abort(unavailable("the consumer is closed"));
    const channel = this.#channel;
    if (channel !== undefined) await this.#end(channel);
    await this.#keeping;
  }

  async #keep(first: Consumption): Promise<void> {
    const { link, queue } = this.#options;
    const { signal } = this.#closing;
    let { lost } = first;
    for (let failures = 0; ; ) {
      if (failures === 0) await waitUntilAborted(signal, doneAfter(lost));
      else await pauseUntilAborted(backoffMs(backoff, failures, Math.random), signal);
      await link.consuming.untilConnected(signal);
      if (signal.aborted || link.closed) return;
      try {
        ({ lost } = await this.#consume(`consume from ${queue}`, signal));
        failures = 0;
        link.trouble(this, undefined);
        this.#options.restored?.();
      } catch (error) {
        if (signal.aborted) return;
        const failure = rabbitMqFailure(error, `consume from ${queue}`);
        failures++;
        if (this.#options.failed?.(failure) === true) return link.trouble(this, undefined);
        if (link.consuming.model !== undefined) link.trouble(this, failure);
      }
    }
  }

  async #consume(what: string, signal: AbortSignal | undefined): Promise<Consumption> {
    const { link, queue, isShared, take } = this.#options;
    const model = await link.consuming.open(signal);
    const channel = await link.channel(model.createChannel(), what, signal);
    const lost = new Promise<void>((resolve) => channel.once("close", resolve));
    const setUp = async () => {
      // Not exclusive: it would end with its connection, and the name with it.
      await channel.assertQueue(queue, { durable: true, autoDelete: true, expires: expiresMs });
      const noAck = !isShared;
      if (isShared) await channel.prefetch(1);
      await channel.consume(
        queue,
        (message) => {
          if (message === null) return void this.#closeChannel(channel);
          if (isShared) channel.ack(message);
          if (!this.#closing.signal.aborted) take(message);
        },
        { noAck, exclusive: !isShared },
      );
    };
    try {
      await untilAborted(link.response(setUp(), what), signal);
    } catch (error) {
      await this.#closeChannel(channel);
      throw rabbitMqFailure(error, what);
    }
    if (this.#closing.signal.aborted) await this.#end(channel);
    else this.#channel = channel;
    return { lost };
  }

  async #end(channel: Channel): Promise<void> {
    const { link, queue, isShared } = this.#options;
    if (!isShared) {
      // The consumption ends with it. A queue that cannot be deleted now ends with the channel.
      const deleting = Promise.resolve().then(() => channel.deleteQueue(queue));
      await link.response(deleting, `delete the queue ${queue}`).catch(() => {});
    }
    await this.#closeChannel(channel);
  }

  /** Closes a channel, which may have ended. */
  async #closeChannel(channel: Channel): Promise<void> {
    const closing = Promise.resolve().then(() => channel.close());
    await this.#options.link.response(closing, "close a channel").catch(() => {});
  }
}

function doneAfter(promise: Promise<void>): (done: () => void) => () => void {
  return (done) => {
    void promise.then(done);
    return () => {};
  };
}
