import { pauseUntilAborted, sharedAbortController } from "@micro-es/runtime/driver";
import type { StreamingPullRequestInit } from "../gen/google/pubsub/v1/pubsub_codec.ts";
import { Subscriber_streamingPull } from "../gen/google/pubsub/v1/pubsub_micro.ts";
import type { ReceivedMessage } from "../gen/google/pubsub/v1/pubsub_pb.ts";
import { unavailable } from "../link/failure.ts";
import type { PubSubLink } from "../link/link.ts";

/** Options of a {@link PullStream}. */
export interface PullStreamOptions {
  readonly link: PubSubLink;
  /** The full name of the subscription. */
  readonly subscription: string;
  /** Redeliveries prefer the stream of the same client. */
  readonly clientId: string;
  /** How long a message is held before it is delivered elsewhere, in milliseconds. */
  readonly ackWaitMs: number;
  /** The most messages that are held, and their bytes. */
  readonly maxMessages: number;
  readonly maxBytes: number;
}

/** How often the stream is kept alive, in milliseconds; the service responds each time. */
const heartbeatMs = 30_000;
/** A stream on which nothing arrives for this long does not work, in milliseconds. */
const silenceMs = 75_000;
/** How long the service has to end a stream that ends here, in milliseconds. */
const endMs = 2_000;

/** A stream of messages of one subscription, until the service or {@link end} ends it. */
export class PullStream {
  readonly #options: PullStreamOptions;
  readonly #ending = sharedAbortController();
  readonly #cancelling = sharedAbortController();
  #heardAt = performance.now();
  #isReading = true;

  constructor(options: PullStreamOptions) {
    this.#options = options;
  }

  /**
   * Yields messages as they arrive, and an empty list for each response that has none. While the
   * consumer does not ask for more, nothing is received.
   * @throws MicroError for what ended the stream.
   */
  async *messages(): AsyncGenerator<readonly ReceivedMessage[]> {
    const { link, subscription } = this.#options;
    const responses = await link.stream(Subscriber_streamingPull, this.#requests(), {
      what: `read ${subscription}`,
      route: ["subscription", subscription],
      signal: this.#cancelling.signal,
    });
    try {
      for await (const { receivedMessages } of responses) {
        this.#isReading = false;
        yield receivedMessages;
        this.#isReading = true;
        this.#heardAt = performance.now();
      }
    } catch (error) {
      if (!this.#ending.signal.aborted) throw error;
    } finally {
      this.#ending.abort();
    }
  }

  /**
   * Asks for no further messages. Those that are on their way still arrive; after a short time the
   * stream is cancelled.
   */
  end(): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort();
    setTimeout(() => this.cancel(), endMs).unref();
  }

  /** Ends the stream at once. */
  cancel(): void {
    this.#ending.abort();
    this.#cancelling.abort();
  }

  async *#requests(): AsyncGenerator<StreamingPullRequestInit> {
    const { subscription, clientId, ackWaitMs, maxMessages, maxBytes } = this.#options;
    yield {
      subscription,
      clientId,
      streamAckDeadlineSeconds: Math.ceil(ackWaitMs / 1_000),
      maxOutstandingMessages: BigInt(maxMessages),
      maxOutstandingBytes: BigInt(maxBytes),
      protocolVersion: 1n,
    };
    this.#heardAt = performance.now();
    // The response to an empty request shows that the stream works.
    while (!this.#ending.signal.aborted) {
      if (this.#isReading && performance.now() - this.#heardAt > silenceMs) {
        this.#cancelling.abort(unavailable("Pub/Sub has sent nothing on a stream", "unknown"));
        return;
      }
      yield {};
      await pauseUntilAborted(heartbeatMs, this.#ending.signal);
    }
  }
}
