import { hasPassed } from "../base/deadline.ts";
import { asMicroError, MicroError } from "../base/error.ts";
import type { Logger } from "../base/logger.ts";
import type { Identity } from "../call/account.ts";
import { deadlineExceeded, type ServerCall } from "../call/call.ts";
import type { CallKind } from "../call/connection-peer.ts";
import { type AnyMethod, endpointOf } from "../call/method.ts";
import { needsCredential } from "../transport/admission.ts";
import type { CallAccess, Dispatcher, UnaryReceiver } from "../transport/transport.ts";
import { Admission } from "./admission.ts";
import { HandlerErrors } from "./handler-errors.ts";
import type { Handler } from "./handlers.ts";
import { intercept, type ServerInterception } from "./interceptors.ts";
import { FailedStream, ResponseStream, type ResponseStreamOwner } from "./response-stream.ts";
import type { ServerStats } from "./server.ts";
import { UnknownMethods } from "./unknown-method.ts";
import { validateResponse } from "./validate-response.ts";

/** Options for a {@link HandlerDispatcher}. */
export interface DispatcherOptions {
  /** Name of the server, for messages. */
  readonly name: string;
  readonly interceptors: readonly ServerInterception[];
  readonly maxConcurrentCalls: number;
  readonly maxConcurrentStreams: number;
  readonly abandonAfterMs: number;
  /** Keys of incoming metadata to propagate to outgoing calls. */
  readonly propagate: readonly string[];
  readonly logger: Logger;
}

/** A method and its handler. */
interface Entry {
  readonly method: AnyMethod;
  readonly handler: Handler;
}

/**
 * Dispatches calls to the handlers registered for their methods. Whatever a handler does, its own
 * call gets a response and no other call is affected.
 *
 * This is on the path of every call: without interceptors a call costs a lookup and a few counters
 * here, and one `then` when its handler is asynchronous.
 */
export class HandlerDispatcher implements Dispatcher, ResponseStreamOwner {
  /** Decides who may call; set before the server listens. Undefined if every caller may. */
  access: CallAccess | undefined;
  readonly #name: string;
  readonly #entries = new Map<string, Entry>();
  /** Methods by go-micro's name, which methods of several packages may share. */
  readonly #endpoints = new Map<string, AnyMethod[]>();
  readonly #interceptors: readonly ServerInterception[];
  readonly #propagate: readonly string[];
  readonly #errors: HandlerErrors;
  readonly #unknown: UnknownMethods;
  readonly #calls: Admission;
  readonly #streams: Admission;
  #failed = 0;

  constructor(options: DispatcherOptions) {
    this.#name = options.name;
    this.#interceptors = options.interceptors;
    this.#propagate = options.propagate;
    this.#errors = new HandlerErrors(options.logger);
    this.#unknown = new UnknownMethods(options.name);
    const admit = (what: CallKind, limit: number) =>
      new Admission({
        what,
        limit,
        abandonAfterMs: options.abandonAfterMs,
        onAbandoned: (call) => this.#abandoned(call),
      });
    this.#calls = admit("calls", options.maxConcurrentCalls);
    this.#streams = admit("streams", options.maxConcurrentStreams);
  }

  get stats(): ServerStats {
    const calls = this.#calls;
    const streams = this.#streams;
    return {
      inFlight: calls.inFlight + streams.inFlight,
      started: calls.started + streams.started,
      failed: this.#failed,
      refused: calls.refused + streams.refused,
      abandoned: calls.abandoned + streams.abandoned,
    };
  }

  get methods(): readonly AnyMethod[] {
    return Array.from(this.#entries.values(), (entry) => entry.method);
  }

  /** Adds a method. @throws MicroError `already_exists` when it already has a handler. */
  add(method: AnyMethod, handler: Handler): void {
    if (this.#entries.has(method.name)) {
      throw new MicroError(
        "already_exists",
        `server ${this.#name} has a handler for ${method.name}; a method takes one`,
        { outcome: "not-executed" },
      );
    }
    const intercepted =
      this.#interceptors.length === 0
        ? handler
        : intercept(handler, this.#interceptors, this.#errors);
    this.#entries.set(method.name, { method, handler: intercepted });
    const endpoint = endpointOf(method.name);
    this.#endpoints.set(endpoint, [...(this.#endpoints.get(endpoint) ?? []), method]);
  }

  method(name: string): AnyMethod | undefined {
    return this.#entries.get(name)?.method;
  }

  methodOfEndpoint(endpoint: string, service: string | undefined): AnyMethod | undefined {
    const methods = this.#endpoints.get(endpoint) ?? [];
    const only = methods.length === 1 ? methods[0] : undefined;
    if (service === undefined || service === this.#name) return only;
    return methods.find((method) => method.service === service);
  }

  unknownMethod(name: string, identity?: Identity): MicroError {
    const { access } = this;
    // Otherwise the error would tell methods that exist from those that do not.
    if (access !== undefined && identity === undefined) return needsCredential();
    return this.#unknown.error(name, () =>
      this.methods
        .filter((method) => access === undefined || access.mayKnow(method, identity))
        .map((method) => method.name),
    );
  }

  unary(call: ServerCall, request: unknown): Promise<unknown> {
    return new Promise((responded, failed) =>
      this.startUnary(call, request, { responded, failed }),
    );
  }

  startUnary(call: ServerCall, request: unknown, receiver: UnaryReceiver): void {
    const handler = this.#entries.get(call.method.name)?.handler.unary;
    if (handler === undefined) {
      receiver.failed(this.#notOfThisKind(call));
      return;
    }
    try {
      this.#admit(call, this.#calls);
    } catch (refusal) {
      receiver.failed(refusal);
      return;
    }
    try {
      const response = handler(call, request);
      if (isThenable(response)) {
        const promise = response instanceof Promise ? response : Promise.resolve(response);
        promise.then(
          (message) => this.#respond(call, message, receiver),
          (reason) => this.#fail(call, reason, receiver),
        );
        return;
      }
      this.#respond(call, response, receiver);
    } catch (reason) {
      this.#fail(call, reason, receiver);
    }
  }

  stream(call: ServerCall, requests: AsyncIterable<unknown>): AsyncIterable<unknown> {
    const handler = this.#entries.get(call.method.name)?.handler.stream;
    if (handler === undefined) return new FailedStream(this.#notOfThisKind(call));
    try {
      this.#admit(call, this.#streams);
    } catch (refusal) {
      return new FailedStream(asMicroError(refusal));
    }
    this.access?.opened(call);
    return new ResponseStream(call, requests, handler, this);
  }

  invalidResponse(call: ServerCall, reason: unknown): MicroError {
    // The encoder's `invalid_argument` would blame the caller, but the fault is the handler's.
    const fault = new TypeError(`the response to ${call.method.name} cannot be written`, {
      cause: reason,
    });
    return this.failed(call, fault);
  }

  failed(call: ServerCall, reason: unknown): MicroError {
    this.#failed++;
    return this.#interceptors.length === 0
      ? this.#errors.fromHandler(call, reason)
      : this.#errors.fromInterceptor(call, reason);
  }

  ended(call: ServerCall): void {
    this.#streams.leave(call);
    this.access?.closed(call);
  }

  report(call: ServerCall, reason: unknown): void {
    if (call.cancelled !== undefined) return;
    this.#errors.report(call, reason, "a streaming handler failed while it was ended");
  }

  close(): void {
    this.#calls.close();
    this.#streams.close();
  }

  #respond(call: ServerCall, message: unknown, receiver: UnaryReceiver): void {
    try {
      validateResponse(call.method, message);
    } catch (reason) {
      this.#fail(call, reason, receiver);
      return;
    }
    this.#calls.leave(call);
    receiver.responded(message);
  }

  #fail(call: ServerCall, reason: unknown, receiver: UnaryReceiver): void {
    this.#calls.leave(call);
    receiver.failed(this.failed(call, reason));
  }

  #admit(call: ServerCall, admission: Admission): void {
    if (this.access === undefined) call.identity ??= standIn(call.method);
    else if (!call.isAdmitted) throw notAsked(call);
    // The body may have come long after the caller was admitted.
    else if (call.identity?.ended !== undefined) throw needsCredential();
    if (call.cancelled !== undefined) throw call.cancelled;
    if (hasPassed(call.deadline)) throw deadlineExceeded(call.method.name, "not-executed");
    admission.enter(call);
    call.propagate = this.#propagate;
  }

  #notOfThisKind(call: ServerCall): MicroError {
    const { name } = call.method;
    const known = this.#entries.get(name)?.method;
    if (known === undefined) return this.unknownMethod(name, call.identity);
    return new MicroError(
      "unimplemented",
      `${name} is ${known.kind} in server ${this.#name}, and was called otherwise; caller and server have different schemas`,
      { outcome: "not-executed" },
    );
  }

  #abandoned(call: ServerCall): void {
    this.#errors.log(
      { method: call.method.name, peer: call.peer.address },
      "a handler is still running long after its call was cancelled; it should end when context.signal aborts",
    );
  }
}

/**
 * The account of callers in a server with `auth: false`, for handlers of methods whose schema
 * requires an account.
 */
const unverified: Identity = {
  account: {
    id: "unverified",
    type: "unverified",
    issuer: "",
    scopes: new Set(),
    claims: {},
    expiresAtMs: Number.POSITIVE_INFINITY,
    provenBy: "none",
  },
  validUntil: Number.POSITIVE_INFINITY,
  ended: undefined,
};

function standIn({ auth }: AnyMethod): Identity | undefined {
  return auth === undefined || auth.public === true || auth.optional === true
    ? undefined
    : unverified;
}

/** A transport without this step must not be a way around the access that the schema requires. */
function notAsked({ peer, method }: ServerCall): MicroError {
  return new MicroError(
    "internal",
    `the transport ${peer.transport} does not verify the callers of ${method.name} (Dispatcher.access); ` +
      "it cannot be used in a server with auth",
    { outcome: "not-executed" },
  );
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as Partial<PromiseLike<unknown>>).then === "function"
  );
}
