import { type Deadline, monotonicNow, remainingMs, turnNow } from "../deadline.ts";
import { asMicroError, MicroError } from "../error.ts";
import type { Logger } from "../logger.ts";
import type { RetryPolicy } from "../method.ts";
import type { Candidate, Selector } from "../selector/selector.ts";
import type { Channel } from "../transport/transport.ts";
import { cancelled, ofCall } from "./call-error.ts";
import type { ChannelPool } from "./channel-pool.ts";
import type { ChannelSlot } from "./channel-slot.ts";
import type { OpenCalls } from "./open-calls.ts";
import type { Attempt, OutboundCall } from "./outbound-call.ts";
import { decideRetry, type RetryDecision, retryPolicy } from "./retry.ts";
import { UnaryAttempt, type UnaryAttemptOwner } from "./unary-attempt.ts";
import type { Waits } from "./waits.ts";

/** What attempts are made with. */
export interface AttemptsOptions {
  readonly selector: Selector;
  readonly pool: ChannelPool;
  readonly waits: Waits;
  readonly open: OpenCalls;
  readonly retry: Partial<RetryPolicy> | false | undefined;
  readonly logger: Logger;
  readonly random: () => number;
}

/** Makes the attempts of calls: each to a node and over a connection, and after a failure perhaps another. */
export class Attempts implements UnaryAttemptOwner {
  readonly #selector: Selector;
  readonly #pool: ChannelPool;
  readonly #open: OpenCalls;
  readonly #options: AttemptsOptions;

  constructor(options: AttemptsOptions) {
    this.#selector = options.selector;
    this.#pool = options.pool;
    this.#open = options.open;
    this.#options = options;
  }

  /** A unary call. The usual one selects, sends and waits for its answer, and makes nothing beside. */
  unary(call: OutboundCall, request: unknown): Promise<unknown> {
    const answer = new Promise(keepSettlers);
    call.answer = answer;
    this.#open.begin();
    this.#start(new UnaryAttempt(call, request, settlers.resolve, settlers.reject, this));
    return answer;
  }

  attemptAnswered(attempt: UnaryAttempt, message: unknown): void {
    const { call } = attempt;
    attempt.report(turnNow() - attempt.sentAt);
    call.budget.deposit();
    this.#open.end(call);
    attempt.resolve(message);
  }

  attemptFailed(attempt: UnaryAttempt, reason: unknown): void {
    const { call, request, resolve, reject } = attempt;
    this.prepareNext(call, attempt, reason, false).then(
      () => this.#start(new UnaryAttempt(call, request, resolve, reject, this)),
      (error) => {
        this.#open.end(call);
        reject(error);
      },
    );
  }

  #start(attempt: UnaryAttempt): void {
    const { call } = attempt;
    try {
      const routed = this.route(call, attempt);
      if (routed instanceof Promise) {
        routed.then(
          (channel) => this.#send(attempt, channel, monotonicNow()),
          (reason) => attempt.failed(reason),
        );
      } else {
        this.#send(attempt, routed, call.attempts === 1 ? call.beganAt : monotonicNow());
      }
    } catch (reason) {
      attempt.failed(reason);
    }
  }

  #send(attempt: UnaryAttempt, channel: Channel, now: Deadline): void {
    attempt.channel = channel;
    attempt.sentAt = now;
    const { method } = attempt.call;
    if (channel.startUnary !== undefined) {
      channel.startUnary(method, attempt.request, attempt, attempt);
      return;
    }
    channel.unary(method, attempt.request, attempt).then(
      (message) => attempt.answered(message),
      (reason) => attempt.failed(reason),
    );
  }

  /** The connection for an attempt; a promise only when something must be waited for. */
  route(call: OutboundCall, attempt: Attempt): Channel | Promise<Channel> {
    const { address } = call.options;
    if (address !== undefined) {
      const slot = this.#pool.toAddress(address);
      return slot.ready() ?? this.#connect(call, slot);
    }
    const selected = this.#selector.select(call.target, attempt);
    if (selected instanceof Promise) return this.#routeLater(call, attempt, selected);
    attempt.candidate = selected;
    return this.#pool.toNode(selected.node).ready() ?? this.#routeLater(call, attempt, selected);
  }

  /**
   * What follows a failed attempt: resolves when it is time for the next one.
   * @param committed whether the call cannot be repeated any more, whatever its policy.
   * @throws MicroError the error of the call, when there is no further attempt.
   */
  async prepareNext(
    call: OutboundCall,
    attempt: Attempt,
    reason: unknown,
    committed: boolean,
  ): Promise<void> {
    const error = asMicroError(reason, "unknown");
    attempt.report(this.#latencyMs(call, attempt), error);
    const decision = this.#decide(call, attempt, error, committed);
    if (decision === undefined) throw ofCall(error, call);
    const { waitMs, transparent } = decision;
    if (transparent) call.transparentRetries++;
    if (attempt.candidate !== undefined) call.avoid(attempt.candidate.node.id);
    const { method, target, address, attempts, signal, deadline } = call;
    this.#options.logger.debug(
      { method: method.name, target, address, attempts, waitMs, error },
      "an attempt failed and is followed by another",
    );
    if (waitMs === 0) return;
    const what = `before attempt ${attempts + 1}, after: ${error.message}`;
    try {
      await this.#options.waits.pause(waitMs, { signal, deadline, what });
    } catch (interrupted) {
      throw ofCall(asMicroError(interrupted, "canceled"), call);
    }
  }

  #decide(
    call: OutboundCall,
    attempt: Attempt,
    error: MicroError,
    committed: boolean,
  ): RetryDecision | undefined {
    if (call.signal?.aborted === true) return undefined;
    const { options, method } = call;
    // The selector has waited as long as it is worth: asking again would only wait again.
    if (attempt.candidate === undefined && options.address === undefined) return undefined;
    const failed = {
      error,
      attempts: call.attempts,
      transparentRetries: call.transparentRetries,
      idempotent: options.idempotent ?? method.idempotency !== "unknown",
      committed,
      refused: attempt.channel?.state === "open",
      policy: retryPolicy(method, this.#options.retry, options.retry),
      remainingMs: remainingMs(call.deadline),
    };
    return decideRetry(failed, () => call.budget.withdraw(), this.#options.random);
  }

  /** How long a stream stays open says nothing of how fast its node is. */
  #latencyMs(call: OutboundCall, attempt: Attempt): number | undefined {
    if (attempt.channel === undefined || call.method.kind !== "unary") return undefined;
    return monotonicNow() - attempt.sentAt;
  }

  /** As {@link route}, where the nodes are not known or the node is not connected to. */
  async #routeLater(
    call: OutboundCall,
    attempt: Attempt,
    selected: Candidate | Promise<Candidate>,
  ): Promise<Channel> {
    let candidate = await this.#known(call, selected);
    for (;;) {
      attempt.candidate = candidate;
      const slot = this.#pool.toNode(candidate.node);
      const { refusal } = slot;
      const passed = call.tried?.has(candidate.node.id) === true;
      if (refusal === undefined || passed || slot.ready() !== undefined) {
        return this.#connect(call, slot).catch((reason) => {
          throw ofNode(reason, candidate);
        });
      }
      // It will not be dialled for a while: another node can have the call at once.
      attempt.exclude = call.avoid(candidate.node.id);
      candidate.report(undefined, refusal);
      attempt.candidate = undefined;
      candidate = await this.#known(call, this.#selector.select(call.target, attempt));
    }
  }

  /** The selector ends its wait by signal and deadline; this one ends it when the client is closed. */
  #known(
    call: OutboundCall,
    selected: Candidate | Promise<Candidate>,
  ): Candidate | Promise<Candidate> {
    if (!(selected instanceof Promise)) return selected;
    const forever = Number.POSITIVE_INFINITY;
    const what = `while a node of ${call.target} was looked for`;
    return this.#options.waits.until(
      selected,
      { signal: undefined, deadline: forever, what },
      (late) => late.report(undefined, cancelled(undefined, what, "not-executed")),
    );
  }

  #connect(call: OutboundCall, slot: ChannelSlot): Promise<Channel> {
    const { signal, deadline } = call;
    const what = `while ${slot.address} was dialled`;
    return this.#options.waits.until(slot.connect(), { signal, deadline, what });
  }
}

/** What settles the promise that was made last: an executor of each call's own would be two objects more a call. */
const settlers: {
  resolve: (message: unknown) => void;
  reject: (reason: unknown) => void;
} = { resolve: () => {}, reject: () => {} };

function keepSettlers(
  resolve: (message: unknown) => void,
  reject: (reason: unknown) => void,
): void {
  settlers.resolve = resolve;
  settlers.reject = reject;
}

/** A registry that gives an address which is none is a node that is not there, and no fault of the call. */
function ofNode(reason: unknown, { node }: Candidate): MicroError {
  const error = asMicroError(reason, "unavailable");
  if (error.code !== "invalid_argument") return error;
  return new MicroError("unavailable", `node ${node.id} cannot be dialled: ${error.message}`, {
    outcome: "not-executed",
    cause: error,
  });
}
