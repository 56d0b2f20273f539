import { type Deadline, remainingMs } from "../base/deadline.ts";
import { MicroError } from "../base/error.ts";
import { Metadata } from "../base/metadata.ts";
import type { Account, Credential, Identity } from "./account.ts";
import type { AnyMethod } from "./method.ts";

/** A value, or a promise of it. */
export type Awaitable<T> = T | Promise<T>;

/** The other side of a call. */
export interface Peer {
  /** The address of the caller, such as `10.0.0.7:51234`; for logs, never for authorization. */
  readonly address: string;
  /** Name of the transport that carried the call, such as `tcp`. */
  readonly transport: string;
  /** The client certificate of the connection; undefined without one. */
  readonly certificate?: PeerCertificate | undefined;
}

/**
 * A certificate that the TLS handshake has proved the peer to have. An `Auth` verifies its issuers.
 */
export interface PeerCertificate {
  /** SHA-256 of the certificate's DER form, as base64url. */
  readonly fingerprint: string;
  /** The certificate, and its issuers as far as the peer has sent them, in DER form. */
  readonly chain: readonly Uint8Array[];
}

/**
 * The part of an incoming call or event that outgoing calls inherit. Pass it in the options of an
 * outgoing call: it carries the deadline, cancellation and the metadata marked to propagate, and
 * nothing else.
 */
export interface ParentContext {
  /** When the caller stops waiting. */
  readonly deadline: Deadline;
  /** Fires when the caller cancels, the deadline passes or the connection breaks. */
  readonly signal: AbortSignal;
  /** The entries of the incoming metadata that calls made on behalf of this one forward. */
  readonly propagatedMetadata: Metadata;
  /** This context itself, so that it can be passed as call options. */
  readonly context: ParentContext;
}

/** Names a value that interceptors store on a context for later interceptors and the handler. */
export interface ContextKey<T> {
  readonly id: symbol;
  readonly defaultValue: T;
}

/**
 * Creates a key for {@link CallContext.get} and {@link CallContext.set}; the value is a default.
 *
 * @example
 * ```ts
 * import { contextKey } from "@micro-es/runtime";
 *
 * // An interceptor sets it, and handlers read it: context.get(tenantKey).
 * const tenantKey = contextKey("tenant", "");
 * ```
 */
export function contextKey<T>(description: string, defaultValue: T): ContextKey<T> {
  return { id: Symbol(description), defaultValue };
}

/** The context of the call that a handler serves. */
export interface CallContext extends ParentContext {
  readonly method: AnyMethod;
  readonly peer: Peer;
  /** Who calls; undefined for a caller without an account, and in a server without auth. */
  readonly account: Account | undefined;
  /** Metadata that the caller sent with the request. */
  readonly requestMetadata: Metadata;
  /** Sent before the first message of the response; later changes have no effect. */
  readonly responseMetadata: Metadata;
  /** Sent with the end of the response, also with an error. */
  readonly trailers: Metadata;
  readonly context: CallContext;
  /** Milliseconds until the caller stops waiting. */
  remainingMs(): number;
  /** A value that an interceptor stored, or the key's default. */
  get<T>(key: ContextKey<T>): T;
  set<T>(key: ContextKey<T>, value: T): void;
}

/** The context of a call of a method whose schema requires an account. */
export interface AuthenticatedContext extends CallContext {
  readonly account: Account;
  readonly context: AuthenticatedContext;
}

/**
 * Notified when a call is cancelled before its handler ended; servers use it to count handlers that
 * are still running.
 */
export interface CallObserver {
  callCancelled(call: ServerCall): void;
}

/** Keys of incoming metadata that always propagate: W3C trace context and baggage. */
export const alwaysPropagated: readonly string[] = ["traceparent", "tracestate", "baggage"];

const noKeys: readonly string[] = [];

/**
 * One incoming call, created by a transport for the dispatcher and seen by a handler as
 * {@link CallContext}. Everything that a handler may never use is created on first read: a call
 * costs this one object.
 */
export class ServerCall implements CallContext {
  readonly method: AnyMethod;
  readonly peer: Peer;
  readonly deadline: Deadline;
  /** Keys that propagate in addition to {@link alwaysPropagated}; set by the server. */
  propagate: readonly string[] = noKeys;
  /** Why the call was cancelled; undefined as long as the caller waits for the response. */
  cancelled: MicroError | undefined = undefined;
  /** The verified caller, set by {@link admit}. */
  identity: Identity | undefined = undefined;
  /** Whether the transport has asked who calls. A server with auth handles no other calls. */
  isAdmitted = false;
  /** Notified of {@link cancel}; a field instead of an event, because every call has one. */
  observer: CallObserver | undefined = undefined;

  #credential: Credential | undefined = undefined;
  #requestMetadata: Metadata | Uint8Array | undefined;
  #responseMetadata: Metadata | undefined = undefined;
  #trailers: Metadata | undefined = undefined;
  #propagated: Metadata | undefined = undefined;
  #controller: AbortController | undefined = undefined;
  #values: Map<symbol, unknown> | undefined = undefined;

  /**
   * @param metadata that came with the call, or its encoded form of up to `maxMetadataBytes`;
   * undefined if there was none.
   */
  constructor(
    method: AnyMethod,
    peer: Peer,
    metadata: Metadata | Uint8Array | undefined,
    deadline: Deadline,
  ) {
    this.method = method;
    this.peer = peer;
    this.#requestMetadata = metadata;
    this.deadline = deadline;
  }

  get context(): this {
    return this;
  }

  get account(): Account | undefined {
    return this.identity?.account;
  }

  get requestMetadata(): Metadata {
    const given = this.#requestMetadata;
    if (given instanceof Metadata) return given;
    const metadata = given === undefined ? new Metadata() : Metadata.decode(given);
    this.#requestMetadata = metadata;
    return metadata;
  }

  get responseMetadata(): Metadata {
    this.#responseMetadata ??= new Metadata();
    return this.#responseMetadata;
  }

  get trailers(): Metadata {
    this.#trailers ??= new Metadata();
    return this.#trailers;
  }

  /**
   * The entries that the handler added to {@link responseMetadata}; undefined if it is empty. For
   * transports.
   */
  get sentMetadata(): Metadata | undefined {
    return this.#responseMetadata?.isEmpty === false ? this.#responseMetadata : undefined;
  }

  /**
   * The entries that the handler added to {@link trailers}; undefined if it is empty. For
   * transports.
   */
  get sentTrailers(): Metadata | undefined {
    return this.#trailers?.isEmpty === false ? this.#trailers : undefined;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.cancelled !== undefined) this.#controller.abort(this.cancelled);
    }
    return this.#controller.signal;
  }

  get propagatedMetadata(): Metadata {
    if (this.#propagated === undefined) {
      this.#propagated = selectMetadata(this.requestMetadata, this.propagate);
    }
    return this.#propagated;
  }

  remainingMs(): number {
    return remainingMs(this.deadline);
  }

  get<T>(key: ContextKey<T>): T {
    const values = this.#values;
    return values?.has(key.id) ? (values.get(key.id) as T) : key.defaultValue;
  }

  set<T>(key: ContextKey<T>, value: T): void {
    this.#values ??= new Map();
    this.#values.set(key.id, value);
  }

  /** Cancels the call: its signal fires with this reason. Only the first reason counts. */
  cancel(reason: MicroError): void {
    if (this.cancelled !== undefined) return;
    this.cancelled = reason;
    this.#controller?.abort(reason);
    this.observer?.callCancelled(this);
  }

  /**
   * The credential that came with the call apart from the metadata, where the protocol has a place
   * for it. It does not show in logs.
   */
  get credential(): Credential | undefined {
    return this.#credential;
  }

  /** Called by the transport when a credential came with the call. */
  present(credential: Credential | undefined): void {
    this.#credential = credential;
  }

  /** Called by the transport, once it has asked whether the caller may call the method. */
  admit(identity: Identity | undefined): void {
    this.identity = identity;
    this.isAdmitted = true;
  }

  /** Ends the call from this side: its caller gets the error, and its handler is cancelled. */
  refuse(error: MicroError): void {
    this.cancel(error);
  }

  /** What logs show of a call: no credential, and nothing of the connection. */
  toJSON(): Readonly<Record<string, unknown>> {
    const { method, peer, account, requestMetadata } = this;
    return {
      method: method.name,
      peer: { address: peer.address, transport: peer.transport },
      ...(account !== undefined && { account: account.id, issuer: account.issuer }),
      requestMetadata,
    };
  }
}

Object.defineProperty(ServerCall.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value(this: ServerCall) {
    try {
      return `Call ${JSON.stringify(this)}`;
    } catch {
      return `Call ${this.method.name} (with malformed metadata)`;
    }
  },
});

/** The entries of incoming metadata that outgoing calls forward. */
export function selectMetadata(incoming: Metadata, keys: readonly string[]): Metadata {
  const selected = new Metadata();
  if (incoming.isEmpty) return selected;
  for (const key of [...alwaysPropagated, ...keys]) {
    for (const value of incoming.getAll(key)) selected.append(key, value);
  }
  return selected;
}

/** The error of a call whose deadline has passed, whichever side notices first. */
export function deadlineExceeded(
  what: string,
  outcome: MicroError["outcome"] = "unknown",
): MicroError {
  return new MicroError("deadline_exceeded", `${what} got no response by its deadline`, {
    outcome,
  });
}
