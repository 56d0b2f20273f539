import type { Deadline } from "../base/deadline.ts";
import type { MicroError, Outcome } from "../base/error.ts";
import type { LinkedSignal } from "../base/linked-signal.ts";
import { Metadata, type MetadataInit } from "../base/metadata.ts";
import type { IssuedCredential } from "../call/credential-source.ts";
import type { AnyMethod } from "../call/method.ts";
import type { Candidate, NodeFilter, SelectOptions } from "../selector/selector.ts";
import type { Channel, OutgoingCall } from "../transport/transport.ts";
import type { CallOptions, ClientCall } from "./client.ts";
import type { RetryBudget } from "./retry-budget.ts";

/**
 * Metadata key that tells a server how many earlier attempts this call had; sent from the second
 * attempt on.
 */
export const previousAttemptsKey = "micro-previous-attempts";

/** One attempt of a call, as the transport and the selector see it. */
export class Attempt implements OutgoingCall, SelectOptions {
  readonly call: OutboundCall;
  metadata: Metadata | undefined;
  /** What the client presents with this attempt; undefined before the connection is known. */
  credential: IssuedCredential | undefined = undefined;
  exclude: ReadonlySet<string> | undefined;
  responseMetadata: Metadata | undefined = undefined;
  trailers: Metadata | undefined = undefined;
  /** The selected node; undefined before the selection, and for a call by address. */
  candidate: Candidate | undefined = undefined;
  /** The connection used; undefined until there is one. */
  channel: Channel | undefined = undefined;
  /** When the request was handed to the connection. */
  sentAt = 0;
  #reported = false;

  constructor(call: OutboundCall, metadata: Metadata | undefined) {
    this.call = call;
    this.metadata = metadata;
    this.exclude = call.tried;
  }

  get deadline(): Deadline {
    return this.call.deadline;
  }

  get signal(): AbortSignal | undefined {
    return this.call.signal;
  }

  get filters(): readonly NodeFilter[] {
    return this.call.filters;
  }

  get compress(): boolean | (() => boolean) | undefined {
    return this.call.options.compress;
  }

  /** Reports the outcome of the attempt to the selector, once however often it is called. */
  report(latencyMs: number | undefined, error?: MicroError): void {
    if (this.candidate === undefined || this.#reported) return;
    this.#reported = true;
    this.candidate.report(latencyMs, error);
  }
}

/** A call with all its attempts. */
export class OutboundCall implements ClientCall {
  readonly method: AnyMethod;
  readonly target: string;
  readonly beganAt: number;
  readonly deadline: Deadline;
  readonly options: CallOptions;
  readonly signal: AbortSignal | undefined;
  readonly filters: readonly NodeFilter[];
  readonly budget: RetryBudget;
  attempts = 0;
  transparentRetries = 0;
  timesTurnedAway = 0;
  /** Whether a server has refused its credential, and another was presented. */
  renewedCredential = false;
  /** Calls to the service that had succeeded when the last attempt failed, or the call began. */
  successesBefore: number;
  /**
   * Combined outcome of the failed attempts so far: if any of them may have run, the call may have
   * run.
   */
  outcome: Outcome = "not-executed";
  /** The last attempt. */
  current: Attempt | undefined = undefined;
  /**
   * The response that the attempts of a unary call produced, before interceptors. It fails only
   * with a MicroError.
   */
  response: Promise<unknown> | undefined = undefined;
  /** Ids of the nodes already tried. */
  tried: Set<string> | undefined = undefined;
  readonly #linked: LinkedSignal | undefined;
  readonly #given: MetadataInit | undefined;
  #metadata: Metadata | undefined = undefined;

  /** @param linked the source of `signal`, if it combines two signals. */
  constructor(
    method: AnyMethod,
    options: CallOptions,
    target: string,
    beganAt: number,
    deadline: Deadline,
    metadata: MetadataInit | undefined,
    signal: AbortSignal | undefined,
    linked: LinkedSignal | undefined,
    filters: readonly NodeFilter[],
    budget: RetryBudget,
  ) {
    this.method = method;
    this.options = options;
    this.target = target;
    this.beganAt = beganAt;
    this.deadline = deadline;
    this.#given = metadata;
    this.signal = signal;
    this.#linked = linked;
    this.filters = filters;
    this.budget = budget;
    this.successesBefore = budget.successes;
  }

  get metadata(): Metadata {
    // A copy, so that an interceptor's additions do not change the caller's object.
    this.#metadata ??= new Metadata(this.#given);
    return this.#metadata;
  }

  get responseMetadata(): Metadata | undefined {
    return this.current?.responseMetadata;
  }

  get trailers(): Metadata | undefined {
    return this.current?.trailers;
  }

  /** The address of the last attempt. */
  get address(): string | undefined {
    return this.options.address ?? this.current?.candidate?.node.address;
  }

  /** Starts the next attempt. */
  begin(): Attempt {
    const attempt = new Attempt(this, this.nextMetadata());
    this.current = attempt;
    return attempt;
  }

  /** Counts the next attempt, and returns the metadata it sends in addition to the request. */
  nextMetadata(): Metadata | undefined {
    const previous = this.attempts++;
    let metadata = this.#metadata;
    if (metadata === undefined && this.#given !== undefined) {
      metadata = this.#given instanceof Metadata ? this.#given : this.metadata;
    }
    if (metadata?.isEmpty === true) metadata = undefined;
    if (previous > 0) {
      metadata = new Metadata(metadata).set(previousAttemptsKey, String(previous));
    }
    return metadata;
  }

  /** Adds the outcome of a failed attempt. */
  attemptFailed(outcome: Outcome): void {
    if (outcome === "not-executed" || this.outcome === "unknown") return;
    this.outcome = outcome;
  }

  /** Records that a node was tried, so that another one is preferred while there is one. */
  avoid(nodeId: string): ReadonlySet<string> {
    this.tried ??= new Set();
    return this.tried.add(nodeId);
  }

  /** Whether there is anything to {@link release}. */
  get isLinked(): boolean {
    return this.#linked !== undefined;
  }

  /** Releases what the call holds, now that it has ended. */
  release(): void {
    this.#linked?.release();
  }
}
