import { Buffer } from "node:buffer";
import { type Code, MicroError, type PublishOptions } from "@micro-es/runtime";
import {
  abortedPublication,
  BytesUnderWay,
  DeadlineSweep,
  eventOverheadBytes,
  omitUndefined,
  throwIfAborted,
  untilAborted,
  waitUntilAborted,
  withCancellation,
} from "@micro-es/runtime/driver";
import type { ConfirmChannel, Options } from "amqplib";
import { rabbitMqFailure, replyCodeOf, unavailable, whileDoing } from "../link/failure.ts";
import type { RabbitMqLink } from "../link/link.ts";

/** A message on its way to an exchange. */
export interface Outgoing {
  readonly exchange: string;
  readonly routingKey: string;
  readonly body: Uint8Array;
  readonly properties: Options.Publish;
  /** The attempted operation, for messages. */
  readonly what: string;
  /** Whether it has to reach a queue. */
  readonly mandatory?: boolean;
  /** Declares the queue that it has to reach; once for each channel, unless it is gone. */
  readonly declare?: (channel: ConfirmChannel) => Promise<void>;
}

/** The progress of a publication, for one that is aborted. */
interface Progress {
  /** Whether an earlier attempt may have reached a queue. */
  isUnsure: boolean;
  isSending: boolean;
}

/** A message without a confirmation. */
interface Unconfirmed {
  readonly giveUpAt: number;
  readonly bytes: number;
  fail(error: unknown): void;
}

/** Bytes that a publication holds, until nothing of it is buffered any longer. */
interface Holding {
  readonly bytes: number;
  holders: number;
}

/** The first wait between attempts, in milliseconds; each is twice the previous one. */
const firstPauseMs = 20;
const longestPauseMs = 500;
/** How long closing waits for confirmations that are due, in milliseconds. */
const closeMs = 2_000;

/** No queue got a message that has to reach one. */
class Unroutable extends Error {}

/** Publishes messages, each until the server confirms that all its queues have it. */
export class ConfirmPublisher {
  readonly #link: RabbitMqLink;
  readonly #prepare: (channel: ConfirmChannel) => Promise<void>;
  readonly #unconfirmed = new Set<Unconfirmed>();
  readonly #returned = new Map<string, () => void>();
  /** The declarations done on a channel. */
  readonly #declared = new WeakMap<ConfirmChannel, Set<unknown>>();
  readonly #sweep = new DeadlineSweep((now) => this.#expire(now), 5);
  #channel: ConfirmChannel | undefined;
  #opening: Promise<ConfirmChannel> | undefined;
  readonly #underWay = new BytesUnderWay("for a confirmation");
  #nextId = 0;
  #confirmed: (() => void) | undefined;

  /** @param prepare declares what is published to, on each channel. */
  constructor(link: RabbitMqLink, prepare: (channel: ConfirmChannel) => Promise<void>) {
    this.#link = link;
    this.#prepare = prepare;
  }

  /**
   * Publishes until the server confirms it, or time is up.
   * @param limited whether it is refused when messages under way hold too much.
   * @throws MicroError `unavailable`, `resource_exhausted`, or why the server refuses.
   */
  send(outgoing: Outgoing, options: PublishOptions, limited: boolean): Promise<void> {
    const bytes = outgoing.body.length + eventOverheadBytes;
    if (limited && !this.#underWay.hasRoomFor(bytes))
      return Promise.reject(this.#underWay.refusal(`cannot ${outgoing.what}`));
    const giveUpAt = performance.now() + this.#link.timeoutMs;
    const holding: Holding = { bytes, holders: 0 };
    const release = this.#hold(holding);
    const { signal, context } = options;
    const channel = this.#channel;
    const isSimple =
      signal === undefined && context === undefined && outgoing.declare === undefined;
    if (isSimple && channel !== undefined && this.#link.publishing.blocked === undefined) {
      const progress = { isUnsure: false, isSending: false };
      return this.#confirm(channel, outgoing, giveUpAt, holding)
        .catch((error: unknown) =>
          this.#retry(outgoing, progress, undefined, giveUpAt, holding, error),
        )
        .finally(release);
    }
    return this.#sendOrAbort(outgoing, options, giveUpAt, holding).finally(release);
  }

  /** Declares what a message has to reach. @throws MicroError as {@link send}. */
  async declare(outgoing: Outgoing): Promise<void> {
    await this.#declare(await this.#open(outgoing.what), outgoing);
  }

  /** Waits for a while for the confirmations that are due. */
  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    if (this.#unconfirmed.size > 0 && this.#link.publishing.model !== undefined) {
      await new Promise<void>((resolve) => {
        this.#confirmed = resolve;
        timer = setTimeout(resolve, closeMs);
      });
    }
    clearTimeout(timer);
    this.#sweep.close();
    for (const each of [...this.#unconfirmed]) {
      each.fail(unavailable("cannot publish: the broker is closed", "unknown"));
    }
    const channel = this.#channel;
    this.#channel = undefined;
    // A channel that has ended throws, and one of a blocked connection does not respond.
    const closed = Promise.resolve()
      .then(() => channel?.close())
      .catch(() => {});
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, closeMs);
    });
    await Promise.race([closed, late]);
    clearTimeout(timer);
  }

  #hold(holding: Holding): () => void {
    if (holding.holders++ === 0) this.#underWay.add(holding.bytes);
    return () => {
      if (--holding.holders === 0) this.#underWay.remove(holding.bytes);
    };
  }

  async #sendOrAbort(
    outgoing: Outgoing,
    options: PublishOptions,
    giveUpAt: number,
    holding: Holding,
  ): Promise<void> {
    await withCancellation(options, async (signal) => {
      throwIfAborted(signal);
      const progress: Progress = { isUnsure: false, isSending: false };
      const stored = this.#store(outgoing, progress, signal, giveUpAt, holding);
      await untilAborted(stored, signal, {
        error: (reason) => abortedPublication(reason, progress.isUnsure || progress.isSending),
      });
    });
  }

  async #store(
    outgoing: Outgoing,
    progress: Progress,
    signal: AbortSignal | undefined,
    giveUpAt: number,
    holding: Holding,
  ): Promise<void> {
    let pauseMs = firstPauseMs;
    for (;;) {
      try {
        await this.#attempt(outgoing, progress, signal, giveUpAt, holding);
        return;
      } catch (error) {
        progress.isSending = false;
        await this.#mayRetry(outgoing, progress, signal, giveUpAt, error, pauseMs);
        if (signal?.aborted === true) return;
        pauseMs = Math.min(longestPauseMs, 2 * pauseMs);
      }
    }
  }

  async #retry(
    outgoing: Outgoing,
    progress: Progress,
    signal: AbortSignal | undefined,
    giveUpAt: number,
    holding: Holding,
    error: unknown,
  ): Promise<void> {
    await this.#mayRetry(outgoing, progress, signal, giveUpAt, error, firstPauseMs);
    await this.#store(outgoing, progress, signal, giveUpAt, holding);
  }

  async #attempt(
    outgoing: Outgoing,
    progress: Progress,
    signal: AbortSignal | undefined,
    giveUpAt: number,
    holding: Holding,
  ): Promise<void> {
    const channel = await this.#open(outgoing.what);
    const { publishing } = this.#link;
    if (publishing.blocked !== undefined) {
      const reason = publishing.blocked;
      await this.#until(giveUpAt, signal, (each) => publishing.untilUnblocked(each));
      if (publishing.blocked !== undefined && signal?.aborted !== true) {
        throw unavailable(`RabbitMQ takes no publications: ${reason}`, "not-executed");
      }
    }
    await this.#declare(channel, outgoing);
    // The caller no longer waits for it.
    if (signal?.aborted === true) return;
    progress.isSending = true;
    try {
      await this.#confirm(channel, outgoing, giveUpAt, holding);
    } catch (error) {
      if (error instanceof Unroutable) this.#declared.get(channel)?.delete(outgoing.declare);
      throw error;
    }
  }

  async #declare(channel: ConfirmChannel, { declare, what }: Outgoing): Promise<void> {
    if (declare === undefined) return;
    const declared = this.#declared.get(channel) ?? new Set();
    this.#declared.set(channel, declared);
    if (declared.has(declare)) return;
    await this.#link.response(declare(channel), what);
    declared.add(declare);
  }

  /**
   * Waits until another attempt makes sense.
   * @throws MicroError if none does, or time is up. The outcome of an earlier attempt is unknown,
   * whatever the last one reports.
   */
  async #mayRetry(
    { what, declare }: Outgoing,
    progress: Progress,
    signal: AbortSignal | undefined,
    giveUpAt: number,
    error: unknown,
    pauseMs: number,
  ): Promise<void> {
    const failure = whileDoing(rabbitMqFailure(error, what), what);
    if (failure.outcome === "unknown") progress.isUnsure = true;
    const { publishing } = this.#link;
    const fail = (code: Code = failure.code) =>
      new MicroError(code, failure.message, {
        cause: error,
        outcome: progress.isUnsure ? "unknown" : "not-executed",
      });
    const isOver = () => performance.now() + pauseMs >= giveUpAt || this.#link.closed;
    const isFutile = error instanceof Unroutable && declare === undefined;
    if (!canPass(failure.code) || isFutile || isOver()) throw fail();
    // While the connection is lost only the outcome of an earlier attempt is waited for.
    if (publishing.model === undefined) {
      if (!progress.isUnsure) throw fail();
      await this.#until(giveUpAt, signal, (each) => publishing.untilConnected(each));
    } else {
      const pause = pauseMs * (0.75 + 0.5 * Math.random());
      await this.#until(performance.now() + pause, signal, never);
    }
    if (signal?.aborted !== true && isOver()) throw fail("unavailable");
  }

  /** Waits for something until a time, or until the signal fires. */
  async #until(
    time: number,
    signal: AbortSignal | undefined,
    wait: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), Math.max(0, time - performance.now()));
    await waitUntilAborted(signal, (done) => {
      void wait(limit.signal).then(done);
      return () => limit.abort();
    });
    clearTimeout(timer);
  }

  /** Resolves with the server's confirmation. */
  #confirm(
    channel: ConfirmChannel,
    { exchange, routingKey, body, properties, what, mandatory }: Outgoing,
    giveUpAt: number,
    holding: Holding,
  ): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const release = this.#hold(holding);
      const unconfirmed: Unconfirmed = { giveUpAt, bytes: body.length, fail: reject };
      let isReturned = false;
      const correlationId = mandatory === true ? String(this.#nextId++) : undefined;
      if (correlationId !== undefined) {
        this.#returned.set(correlationId, () => {
          isReturned = true;
        });
      }
      const done = (error: unknown) => {
        release();
        this.#unconfirmed.delete(unconfirmed);
        if (correlationId !== undefined) this.#returned.delete(correlationId);
        if (isReturned) reject(new Unroutable("no queue takes it"));
        else if (error === null || error === undefined) resolve();
        else reject(unavailable(`cannot ${what}: ${messageOf(error)}`, "unknown", error));
        if (this.#unconfirmed.size === 0) this.#confirmed?.();
      };
      this.#unconfirmed.add(unconfirmed);
      this.#sweep.watch(giveUpAt);
      try {
        const content = Buffer.from(body.buffer, body.byteOffset, body.length);
        const options = { ...properties, ...omitUndefined({ mandatory, correlationId }) };
        channel.publish(exchange, routingKey, content, options, done);
      } catch (error) {
        // The channel has ended.
        if (this.#channel === channel) this.#channel = undefined;
        release();
        this.#unconfirmed.delete(unconfirmed);
        reject(rabbitMqFailure(error, what));
      }
    });
  }

  async #open(what: string): Promise<ConfirmChannel> {
    if (this.#channel !== undefined) return this.#channel;
    this.#opening ??= this.#make(what).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #make(what: string): Promise<ConfirmChannel> {
    const model = await this.#link.publishing.open();
    const channel = await this.#link.channel(model.createConfirmChannel(), what);
    const ended = () => {
      if (this.#channel === channel) this.#channel = undefined;
    };
    channel.on("error", (error) => {
      ended();
      this.#failTooLarge(error);
    });
    channel.on("close", ended);
    channel.on("return", ({ properties }) => {
      this.#returned.get(String(properties.correlationId))?.();
    });
    try {
      await this.#link.response(this.#prepare(channel), what);
    } catch (error) {
      void Promise.resolve()
        .then(() => channel.close())
        .catch(() => {});
      throw error;
    }
    if (this.#link.publishing.model !== model) {
      throw unavailable(`cannot ${what}: the connection to RabbitMQ was lost`);
    }
    this.#channel = channel;
    return channel;
  }

  /** A message that is too large for the server closes the channel; the others are sent again. */
  #failTooLarge(error: Error): void {
    const [, size, most] = /message size (\d+).*?larger than.*?(\d+)/.exec(error.message) ?? [];
    if (replyCodeOf(error) !== 406 || size === undefined) return;
    for (const each of [...this.#unconfirmed]) {
      if (each.bytes !== Number(size)) continue;
      each.fail(
        new MicroError(
          "resource_exhausted",
          `an event of ${size} bytes is over the limit of ${most} that RabbitMQ has (max_message_size)`,
          { outcome: "not-executed" },
        ),
      );
    }
  }

  #expire(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const each of this.#unconfirmed) {
      if (each.giveUpAt > now) {
        next = Math.min(next, each.giveUpAt);
        continue;
      }
      const message = `RabbitMQ did not confirm it within ${this.#link.timeoutMs} ms`;
      each.fail(unavailable(message, "unknown"));
      this.#unconfirmed.delete(each);
    }
    return next;
  }
}

function canPass(code: Code): boolean {
  return code === "unavailable" || code === "not_found";
}

function never(signal: AbortSignal): Promise<void> {
  return waitUntilAborted(signal, () => () => {});
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
