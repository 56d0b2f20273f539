import type { Deadline } from "../deadline.ts";
import type { MicroError } from "../error.ts";
import { Metadata, type MetadataInit } from "../metadata.ts";
import type { AnyMethod } from "../method.ts";
import type { Candidate, NodeFilter, SelectOptions } from "../selector/selector.ts";
import type { Channel, OutgoingCall } from "../transport/transport.ts";
import type { CallOptions, ClientCall } from "./client.ts";
import type { LinkedSignal } from "./linked-signal.ts";
import type { RetryBudget } from "./retry-budget.ts";

/** Metadata that tells a server how many attempts of this call were made before, from the second attempt on. */
export const previousAttemptsKey = "micro-previous-attempts";

/** One attempt of a call: what a transport needs of it, and the selector. */
export class Attempt implements OutgoingCall, SelectOptions {
  readonly call: OutboundCall;
  readonly metadata: Metadata | undefined;
  exclude: ReadonlySet<string> | undefined;
  responseMetadata: Metadata | undefined = undefined;
  trailers: Metadata | undefined = undefined;
  /** The node it goes to; undefined before the selection, and for a call by address. */
  candidate: Candidate | undefined = undefined;
  /** The connection it went to; undefined before there was one. */
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

  /** Tells the selector how the attempt ended, once however often it is said. */
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
  /** The last attempt. */
  current: Attempt | undefined = undefined;
  /** What the attempts answer a unary call with, before interceptors. It fails with a MicroError only. */
  answer: Promise<unknown> | undefined = undefined;
  /** Ids of the nodes that were tried. */
  tried: Set<string> | undefined = undefined;
  readonly #linked: LinkedSignal | undefined;
  readonly #given: MetadataInit | undefined;
  #metadata: Metadata | undefined = undefined;

  /** @param linked what `signal` was made by, where it stands for two. */
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
  }

  get metadata(): Metadata {
    // A copy: what an interceptor adds is not the business of whoever gave it.
    this.#metadata ??= new Metadata(this.#given);
    return this.#metadata;
  }

  get responseMetadata(): Metadata | undefined {
    return this.current?.responseMetadata;
  }

  get trailers(): Metadata | undefined {
    return this.current?.trailers;
  }

  /** Where the last attempt went. */
  get address(): string | undefined {
    return this.options.address ?? this.current?.candidate?.node.address;
  }

  /** The next attempt. */
  begin(): Attempt {
    const attempt = new Attempt(this, this.nextMetadata());
    this.current = attempt;
    return attempt;
  }

  /** Counts the next attempt, and says what it sends beside the request. */
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

  /** Remembers that a node was tried, so that another is taken while there is one. */
  avoid(nodeId: string): ReadonlySet<string> {
    this.tried ??= new Set();
    return this.tried.add(nodeId);
  }

  /** Whether there is anything to {@link release}. */
  get isLinked(): boolean {
    return this.#linked !== undefined;
  }

  /** The call is over; nothing holds on to it any more. */
  release(): void {
    this.#linked?.release();
  }
}
