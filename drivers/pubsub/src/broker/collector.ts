import { MicroError } from "@micro-es/runtime";
import { throwIfAborted } from "@micro-es/runtime/driver";
import { Subscriber_modifyAckDeadline } from "../gen/google/pubsub/v1/pubsub_micro.ts";
import type { PubsubMessage } from "../gen/google/pubsub/v1/pubsub_pb.ts";
import { pubSubFailure } from "../link/failure.ts";
import type { PubSubLink } from "../link/link.ts";
import { PullStream } from "./pull-stream.ts";

/** A message of a subscription, and by what it is acknowledged. */
export interface KeptMessage {
  readonly ackId: string;
  readonly message: PubsubMessage;
}

/** How long the first message may take, in milliseconds. */
const firstMs = 1_000;
/** After this time without another message there are no more, in milliseconds. */
const quietMs = 250;
/** How long messages are held while they are read, in milliseconds. */
const holdMs = 30_000;
/** What one reading may hold. */
const mostMessages = 10_000;
const mostBytes = 128 * 1024 * 1024;
const mostIds = 2_000;

/** Reads all messages of a subscription, and returns them to it. */
export class MessageCollector {
  readonly #link: PubSubLink;
  readonly #clientId: string;
  /** Two readings at a time would hide messages from each other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(link: PubSubLink, clientId: string) {
    this.#link = link;
    this.#clientId = clientId;
  }

  /**
   * Resolves with the messages of a subscription; none if it does not exist. The service does not
   * say how many there are, so that the end is a short time without another one.
   * @param isWanted ends the reading with the first such message, which is not returned.
   * @throws MicroError `resource_exhausted` if there are too many to read at once.
   */
  collect(
    subscription: string,
    signal: AbortSignal | undefined,
    isWanted: (message: PubsubMessage) => boolean,
  ): Promise<readonly KeptMessage[]> {
    const collecting = this.#last.then(() => this.#collect(subscription, signal, isWanted));
    this.#last = collecting.catch(() => {});
    return collecting;
  }

  async #collect(
    subscription: string,
    signal: AbortSignal | undefined,
    isWanted: (message: PubsubMessage) => boolean,
  ): Promise<readonly KeptMessage[]> {
    throwIfAborted(signal);
    const kept = new Map<string, KeptMessage>();
    const stream = new PullStream({
      link: this.#link,
      subscription,
      clientId: this.#clientId,
      ackWaitMs: holdMs,
      maxMessages: mostMessages,
      maxBytes: mostBytes,
    });
    let isOver = false;
    let failure: MicroError | undefined;
    const end = () => {
      isOver = true;
      stream.end();
    };
    let timer = setTimeout(end, firstMs + quietMs);
    let bytes = 0;
    try {
      for await (const received of stream.messages()) {
        for (const { ackId, message } of received) {
          if (message === undefined) continue;
          kept.set(message.messageId, { ackId, message });
          bytes += message.data.length;
          // What arrives after the end is only returned.
          if (isOver) continue;
          if (isWanted(message)) end();
          else if (kept.size >= mostMessages || bytes > mostBytes) {
            failure = tooMany(subscription);
            end();
          } else if (signal?.aborted === true) end();
        }
        if (received.length === 0 || isOver) continue;
        clearTimeout(timer);
        timer = setTimeout(end, quietMs);
      }
    } catch (error) {
      const { code } = pubSubFailure(error, "");
      if (code !== "not_found") throw error;
    } finally {
      clearTimeout(timer);
      stream.cancel();
      const others = [...kept.values()].filter(({ message }) => !isWanted(message));
      await this.giveBack(
        subscription,
        others.map(({ ackId }) => ackId),
      );
    }
    if (failure !== undefined) throw failure;
    return [...kept.values()];
  }

  /** Returns messages to the subscription. Others come back by themselves. */
  async giveBack(subscription: string, ackIds: readonly string[]): Promise<void> {
    for (let start = 0; start < ackIds.length; start += mostIds) {
      const some = ackIds.slice(start, start + mostIds);
      const request = { subscription, ackIds: some, ackDeadlineSeconds: 0 };
      try {
        await this.#link.call(Subscriber_modifyAckDeadline, request, {
          what: `return messages of ${subscription}`,
          route: ["subscription", subscription],
        });
      } catch {
        // The state of the link reports the loss of the service.
        return;
      }
    }
  }
}

function tooMany(subscription: string): MicroError {
  return new MicroError(
    "resource_exhausted",
    `${subscription} has more than ${mostMessages} messages or ${mostBytes} bytes, which are too many to read at once; drop some with the tools of Google Cloud`,
    { outcome: "not-executed" },
  );
}
