import { type Deadline, monotonicNow, remainingMs, turnNow } from "../base/deadline.ts";
import { asMicroError, MicroError, readableThrown } from "../base/error.ts";
import type { Logger } from "../base/logger.ts";
import type { RetryPolicy } from "../call/method.ts";
import type { Candidate, Selector } from "../selector/selector.ts";
import type { Channel } from "../transport/transport.ts";
import { type CallCredentials, isWithoutCredential } from "./call-credentials.ts";
import { cancelled, rejectWithCaller, withCallContext } from "./call-error.ts";
import type { CancellableWaits } from "./cancellable-wait.ts";
import type { ChannelPool } from "./channel-pool.ts";
import type { ChannelSlot } from "./channel-slot.ts";
import type { OpenCalls } from "./open-calls.ts";
import type { Attempt, OutboundCall } from "./outbound-call.ts";
import { decideRetry, type RetryDecision, retryPolicy } from "./retry.ts";
import { UnaryAttempt, type UnaryAttemptOwner } from "./unary-attempt.ts";

/** What {@link Attempts} needs from its client. */
export interface AttemptsOptions {
  readonly selector: Selector;
  readonly pool: ChannelPool;
  readonly waits: CancellableWaits;
  readonly open: OpenCalls;
  readonly credentials: CallCredentials;
  readonly retry: Partial<RetryPolicy> | false | undefined;
  readonly logger: Logger;
  readonly random: () => number;
}

/**
 * Makes the attempts of calls: each goes to a node over a connection, and a failure may lead to
 * another attempt.
 */
export class Attempts implements UnaryAttemptOwner {
  readonly #selector: Selector;
  readonly #pool: ChannelPool;
  readonly #open: OpenCalls;
  readonly #credentials: CallCredentials;
  readonly #options: AttemptsOptions;

  constructor(options: AttemptsOptions) {
    this.#selector = options.selector;
    this.#pool = options.pool;
    this.#open = options.open;
    this.#credentials = options.credentials;
    this.#options = options;
  }

  /**
   * Makes a unary call. A typical call selects a node, sends the request and waits for its
   * response, and allocates nothing else.
   */
  unary(call: OutboundCall, request: unknown): Promise<unknown> {
    const response = new Promise(keepSettlers);
    call.response = response;
    const { resolve } = settlers;
    this.#open.begin();
    this.#begin(call, request, resolve);
    return response;
  }

  attemptResponded(attempt: UnaryAttempt, message: unknown): void {
    const { call } = attempt;
    this.report(attempt, turnNow() - attempt.sentAt);
    call.budget.deposit();
    this.#open.end(call);
    attempt.resolve(message);
  }

  attemptFailed(attempt: UnaryAttempt, reason: unknown): void {
    const { call, request, resolve } = attempt;
    this.#prepareNext(call, attempt, reason, false).then(
      (error) => {
        if (error === undefined) this.#begin(call, request, resolve);
        else this.#fail(call, error, resolve);
      },
      (unexpected) => this.#fail(call, asMicroError(unexpected, "internal"), resolve),
    );
  }

  /**
   * Reports the outcome of an attempt to the selector; a selector that throws does not affect the
   * call.
   */
  report(attempt: Attempt, latencyMs: number | undefined, error?: MicroError): void {
    try {
      attempt.report(latencyMs, error);
    } catch (reason) {
      this.#options.logger.error(
        { target: attempt.call.target, error: readableThrown(reason) },
        "the selector threw while recording how an attempt ended",
      );
    }
  }

  #begin(call: OutboundCall, request: unknown, resolve: UnaryAttempt["resolve"]): void {
    let attempt: UnaryAttempt;
    try {
      attempt = new UnaryAttempt(call, request, resolve, this);
    } catch (reason) {
      this.#fail(call, asMicroError(reason, "internal"), resolve);
      return;
    }
    this.#start(attempt);
  }

  #fail(call: OutboundCall, error: MicroError, resolve: UnaryAttempt["resolve"]): void {
    this.#open.end(call);
    resolve(rejectWithCaller(error, call));
  }

  #start(attempt: UnaryAttempt): void {
    const { call } = attempt;
    try {
      const routed = this.route(call, attempt);
      if (routed instanceof Promise) {
        routed
          .then((channel) => this.#send(attempt, channel, monotonicNow()))
          .catch((reason) => attempt.failed(reason));
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
      (message) => attempt.responded(message),
      (reason) => attempt.failed(reason),
    );
  }

  /**
   * The connection for an attempt, which then has the credential to present there; a promise only
   * if the call has to wait.
   */
  route(call: OutboundCall, attempt: Attempt): Channel | Promise<Channel> {
    const channel = this.#connection(call, attempt);
    const source = this.#credentials.sourceOf(call);
    return source === undefined ? channel : this.#credentials.attach(source, attempt, channel);
  }

  #connection(call: OutboundCall, attempt: Attempt): Channel | Promise<Channel> {
    const { address } = call.options;
    if (address !== undefined) {
      const slot = this.#pool.toAddress(address, call.options.service ?? call.method.service);
      return slot.ready() ?? this.#connect(call, slot);
    }
    const selected = this.#selector.select(call.target, attempt);
    if (selected instanceof Promise) return this.#routeLater(call, attempt, selected);
    attempt.candidate = selected;
    return (
      this.#pool.toNode(selected.node, call.target).ready() ??
      this.#routeLater(call, attempt, selected)
    );
  }

  /**
   * Handles a failed attempt: resolves when it is time for the next one.
   * @param committed whether the call can no longer be repeated, whatever its policy.
   * @throws MicroError the error of the call, when there is no further attempt.
   */
  async prepareNext(
    call: OutboundCall,
    attempt: Attempt,
    reason: unknown,
    committed: boolean,
  ): Promise<void> {
    const error = await this.#prepareNext(call, attempt, reason, committed);
    if (error !== undefined) throw withCallContext(error, call);
  }

  /**
   * As {@link prepareNext}, but resolves with the error of the call, before the call's context is
   * added.
   */
  async #prepareNext(
    call: OutboundCall,
    attempt: Attempt,
    reason: unknown,
    committed: boolean,
  ): Promise<MicroError | undefined> {
    const error = asMicroError(reason, "unknown");
    if (isWithoutCredential(error)) {
      this.report(attempt, undefined, notSent);
      return error;
    }
    this.report(attempt, this.#latencyMs(call, attempt), error);
    call.attemptFailed(error.outcome);
    if (!committed && attempt.credential !== undefined) {
      if (await this.#credentials.canReplace(attempt, error)) return undefined;
    }
    const decision = this.#decide(call, attempt, error, committed);
    call.successesBefore = call.budget.successes;
    if (decision === undefined) return error;
    const { waitMs, transparent, turnedAway } = decision;
    if (turnedAway) call.timesTurnedAway++;
    else if (transparent) call.transparentRetries++;
    if (attempt.candidate !== undefined) call.avoid(attempt.candidate.node.id);
    const { method, target, address, attempts, signal, deadline } = call;
    this.#options.logger.debug(
      { method: method.name, target, address, attempts, waitMs, error },
      "an attempt failed and is followed by another",
    );
    if (waitMs === 0) return undefined;
    const what = `before attempt ${attempts + 1}, after: ${error.message}`;
    try {
      await this.#options.waits.pause(waitMs, { signal, deadline, what });
      return undefined;
    } catch (interrupted) {
      return asMicroError(interrupted, "canceled");
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
    // The selector has already waited as long as is useful; asking again would only wait again.
    if (attempt.candidate === undefined && options.address === undefined) return undefined;
    const { channel } = attempt;
    const failed = {
      error,
      attempts: call.attempts,
      transparentRetries: call.transparentRetries,
      turnedAway:
        channel !== undefined &&
        channel.state !== "open" &&
        call.budget.successes > call.successesBefore,
      timesTurnedAway: call.timesTurnedAway,
      idempotent: options.idempotent ?? method.idempotency !== "unknown",
      committed,
      refused: channel?.state === "open",
      policy: retryPolicy(method, this.#options.retry, options.retry),
      remainingMs: remainingMs(call.deadline),
    };
    return decideRetry(failed, () => call.budget.withdraw(), this.#options.random);
  }

  /** How long a stream stays open says nothing about the speed of its node. */
  #latencyMs(call: OutboundCall, attempt: Attempt): number | undefined {
    if (attempt.channel === undefined || call.method.kind !== "unary") return undefined;
    return monotonicNow() - attempt.sentAt;
  }

  /** As {@link route}, when the nodes are not known or the node is not connected. */
  async #routeLater(
    call: OutboundCall,
    attempt: Attempt,
    selected: Candidate | Promise<Candidate>,
  ): Promise<Channel> {
    let candidate = await this.#known(call, selected);
    for (;;) {
      attempt.candidate = candidate;
      const slot = this.#pool.toNode(candidate.node, call.target);
      const { refusal } = slot;
      const passed = call.tried?.has(candidate.node.id) === true;
      if (refusal === undefined || passed || slot.ready() !== undefined) {
        return this.#connect(call, slot).catch((reason) => {
          throw asDialError(reason, candidate);
        });
      }
      // The node is backing off from a failed dial, so another node can take the call immediately.
      attempt.exclude = call.avoid(candidate.node.id);
      candidate.report(undefined, refusal);
      attempt.candidate = undefined;
      candidate = await this.#known(call, this.#selector.select(call.target, attempt));
    }
  }

  /**
   * The selector ends its wait on signal and deadline; this also ends it when the client is closed.
   */
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

/** Reported for an attempt that had no credential to present, which is not the node's fault. */
const notSent = new MicroError("canceled", "there was no credential to present");

/** Settles the promise created last: a separate executor per call would cost two more objects. */
const settlers: { resolve: (message: unknown) => void } = { resolve: () => {} };

function keepSettlers(resolve: (message: unknown) => void): void {
  settlers.resolve = resolve;
}

/**
 * An invalid address from a registry means that the node does not exist; it is not the call's
 * fault.
 */
function asDialError(reason: unknown, { node }: Candidate): MicroError {
  const error = asMicroError(reason, "unavailable");
  if (error.code !== "invalid_argument") return error;
  return new MicroError("unavailable", `node ${node.id} cannot be dialled: ${error.message}`, {
    outcome: "not-executed",
    cause: error,
  });
}
