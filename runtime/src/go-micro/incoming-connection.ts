import type { Socket } from "node:net";
import { deadlineAfter } from "../base/deadline.ts";
import { asMicroError, MicroError } from "../base/error.ts";
import type { WebAccess } from "../base/web-access.ts";
import type { ConnectionPeer } from "../call/connection-peer.ts";
import {
  codecError,
  listenerDraining,
  tooManyCalls,
  unknownMethod,
  wrongKind,
} from "../transport/call-errors.ts";
import { errorText } from "../transport/go-micro-error.ts";
import { bodyCodec } from "./body-codecs.ts";
import type { ConnectionOwner, GoMicroConnection } from "./connection.ts";
import { writeError } from "./error-headers.ts";
import { readMetadata } from "./headers.ts";
import type { IncomingCall, IncomingCalls, IncomingRequest } from "./incoming-call.ts";
import { IncomingStream, type StreamOutlet } from "./incoming-stream.ts";
import { IncomingUnary, type UnaryOutlet } from "./incoming-unary.ts";
import {
  endOfStream,
  type GoMicroMessage,
  headerName,
  line,
  type OutgoingHeader,
  values,
} from "./message.ts";

/** The listener that a connection belongs to. */
export interface IncomingConnections extends IncomingCalls {
  /** Where it listens. */
  readonly address: string;
  readonly draining: boolean;
  /** Rejects web pages; undefined if none can connect, as on NATS. */
  readonly access: WebAccess | undefined;
  /** Whether the listener also speaks HTTP. */
  readonly handsOver: boolean;
  /** The connection continues with a request that is not from go-micro. */
  handOver(connection: IncomingConnection, socket: Socket): void;
  /** The connection has closed. */
  connectionClosed(connection: IncomingConnection): void;
  violated(error: MicroError, peer: string): void;
}

/** The content type that go-micro servers assume for a request without one. */
const defaultContentType = "application/protobuf";
/** Ended streams that are remembered in order to recognize their late messages. */
const maxEnded = 1_024;
/**
 * Unary calls of a connection that run concurrently. Later requests are not read before one of them
 * has ended. go-micro's own clients send one at a time. This limits the responses that a client
 * makes a server hold without reading them.
 */
const maxTogether = 8;
/** The same for connections that cannot be paused; further calls are refused there. */
const maxWaiting = 128;

interface Slot {
  readonly call: IncomingUnary | undefined;
  response: { header: OutgoingHeader; body: Uint8Array } | undefined;
}

/** Serves one connection: unary calls in order, and streams by their ids. */
export class IncomingConnection implements ConnectionOwner, UnaryOutlet, StreamOutlet {
  readonly #connections: IncomingConnections;
  readonly #peer: ConnectionPeer;
  #connection: GoMicroConnection | undefined;
  /** Unary calls whose responses have not been sent, the oldest first. */
  #slots: Slot[] = [];
  readonly #streams = new Map<string, IncomingStream>();
  readonly #ended = new Set<string>();
  /** Streams with too much unread data. */
  readonly #full = new Set<IncomingStream>();
  /** Whether the connection is paused. */
  #paused = false;
  /** The client sends nothing further, and wants the connection closed after the responses. */
  #last = false;
  /** Releases the connection for a request that is not from go-micro. */
  #handOver: (() => Socket) | undefined;

  constructor(connections: IncomingConnections, peer: ConnectionPeer) {
    this.#connections = connections;
    this.#peer = peer;
  }

  get openCalls(): number {
    return this.#slots.length + this.#streams.size;
  }

  get blocked(): boolean {
    return this.#connection?.blocked ?? false;
  }

  /** Serves this connection from now on. */
  attach(connection: GoMicroConnection): void {
    this.#connection = connection;
  }

  received(message: GoMicroMessage): void {
    if (line(message, headerName.connection).toLowerCase() === "close") this.#last = true;
    const id = line(message, headerName.stream);
    const stream = id === "" ? undefined : this.#streams.get(id);
    if (stream !== undefined) stream.receive(message);
    else if (!this.#isLate(id, message)) this.#open(id, message);
    this.#closeWhenDone();
  }

  drained(): void {
    for (const stream of this.#streams.values()) stream.drained();
    this.#adjustReading();
  }

  broken(error: MicroError): void {
    this.#connections.violated(error, this.#peer.address);
    const header: OutgoingHeader = new Map();
    writeError(header, error, "");
    this.#connection?.send(header, new Uint8Array(0));
    this.#connection?.end();
  }

  foreign(handOver: () => Socket): void {
    if (this.#streams.size > 0) {
      this.broken(
        new MicroError(
          "invalid_argument",
          "another request came on the connection of a stream of go-micro, which has it to itself",
          { outcome: "not-executed" },
        ),
      );
      return;
    }
    this.#handOver = handOver;
    this.#closeWhenDone();
  }

  closed(): void {
    for (const { call } of [...this.#slots]) call?.leave();
    for (const stream of [...this.#streams.values()]) stream.leave();
    this.#connections.connectionClosed(this);
  }

  /** Accepts no further messages, and closes when the pending output has been sent. */
  end(): void {
    this.#connection?.end();
  }

  complete(call: IncomingUnary, header: OutgoingHeader, body: Uint8Array): void {
    const slot = this.#slots.find((it) => it.call === call);
    if (slot !== undefined) slot.response = { header, body };
    this.#flush();
  }

  send(header: OutgoingHeader, body: Uint8Array): void {
    this.#connection?.send(header, body);
  }

  full(stream: IncomingStream): void {
    this.#full.add(stream);
    this.#adjustReading();
  }

  roomy(stream: IncomingStream): void {
    if (this.#full.delete(stream)) this.#adjustReading();
  }

  streamEnded(stream: IncomingStream): void {
    this.#streams.delete(stream.id);
    this.#ended.add(stream.id);
    if (this.#ended.size > maxEnded) this.#ended.delete(this.#ended.values().next().value!);
    this.roomy(stream);
    this.#closeWhenDone();
  }

  /** Whether a message belongs to a stream that has ended here. */
  #isLate(id: string, message: GoMicroMessage): boolean {
    if (id === "") return false;
    return this.#ended.has(id) || line(message, headerName.error) === endOfStream;
  }

  #open(id: string, message: GoMicroMessage): void {
    const topic = line(message, headerName.topic);
    if (topic !== "") {
      this.#refuse(message, noEvents(topic));
      return;
    }
    let call: IncomingCall;
    try {
      this.#checkAccess(message);
      call = this.#call(id, message);
    } catch (reason) {
      this.#refuse(message, asMicroError(reason));
      return;
    }
    if (call instanceof IncomingStream) this.#streams.set(call.id, call);
    else this.#slots.push({ call: call as IncomingUnary, response: undefined });
    this.#adjustReading();
    this.#connections.begin(call);
    call.run();
  }

  /**
   * Without a preflight request, a page can send a request that has no content type or that of a
   * form. Only content types that trigger a preflight are therefore accepted, and none of them from
   * a page that may not call.
   *
   * @throws MicroError `permission_denied`, `unimplemented` for a request without a content type.
   */
  #checkAccess(message: GoMicroMessage): void {
    const { access } = this.#connections;
    if (access === undefined) return;
    const { header } = message;
    const refusal = access.refusal({
      host: header.get("host"),
      origin: header.get("origin"),
      fetchSite: header.get("sec-fetch-site"),
    });
    if (refusal !== undefined) throw refusal;
    if (!header.get(headerName.contentType.toLowerCase())) throw noContentType();
  }

  /** @throws MicroError that refuses the call. */
  #call(id: string, message: GoMicroMessage): IncomingCall {
    const { address, limits, draining } = this.#connections;
    const request = this.#request(message);
    if (draining) throw listenerDraining(address);
    const waits = this.#slots.length >= Math.min(maxWaiting, limits.maxConcurrentCalls);
    if (waits || this.#streams.size >= limits.maxConcurrentCalls) {
      throw tooManyCalls(address, limits.maxConcurrentCalls);
    }
    const { kind } = request.method;
    if (kind === "unary") return new IncomingUnary(this.#connections, request, this);
    if (id === "") throw wrongKind(request.method, false);
    const stream = new IncomingStream(this.#connections, request, id, this);
    // The first message only opens the stream, except with gRPC framing, where its body is kept.
    if (/^application\/grpc/i.test(request.contentType) && message.body.length > 0) {
      stream.take(message.body);
    }
    return stream;
  }

  /** @throws MicroError if there is no such method, or the body cannot be one of its requests. */
  #request(message: GoMicroMessage): IncomingRequest {
    const { dispatcher, address } = this.#connections;
    const contentType = line(message, headerName.contentType) || defaultContentType;
    const service = only("service", [...values(message, headerName.service)]);
    const form = bodyCodec(contentType, isEnveloped(message));
    if (form === undefined) throw unknownForm(contentType);
    const opened = form.open(message.body, this.#connections.limits.maxMessageElements);
    const endpoint =
      only("endpoint", [
        ...values(message, headerName.endpoint),
        ...values(message, headerName.method),
        opened.endpoint ?? "",
      ]) ?? "";
    const method = dispatcher.methodOfEndpoint?.(endpoint, service);
    if (method === undefined) {
      throw (
        dispatcher.unknownMethod?.(endpoint.replace(".", "/")) ?? unknownMethod(endpoint, address)
      );
    }
    const timeoutMs = nanosecondsToMs(
      line(message, headerName.timeout) || line(message, headerName.streamTimeout),
    );
    const marks: OutgoingHeader = new Map();
    for (const name of [headerName.id, headerName.stream]) {
      const value = line(message, name);
      if (value !== "") marks.set(name, value);
    }
    return {
      method,
      form,
      contentType,
      opened: { ...opened, endpoint },
      peer: this.#peer,
      metadata: readMetadata(message),
      deadline: timeoutMs === undefined ? Number.POSITIVE_INFINITY : deadlineAfter(timeoutMs),
      marks,
    };
  }

  /** Responds to a request with an error, without a call. */
  #refuse(message: GoMicroMessage, error: MicroError): void {
    const header: OutgoingHeader = new Map();
    for (const name of [headerName.id, headerName.stream]) {
      const value = line(message, name);
      if (value !== "") header.set(name, value);
    }
    writeError(header, error, line(message, headerName.service));
    const body = refusalBody(message, error);
    if (line(message, headerName.stream) !== "") {
      this.send(header, body);
      return;
    }
    this.#slots.push({ call: undefined, response: { header, body } });
    this.#flush();
  }

  #flush(): void {
    while (this.#slots[0]?.response !== undefined) {
      const { header, body } = this.#slots.shift()!.response!;
      try {
        this.send(header, body);
      } catch (reason) {
        // The connection does not accept the response, for example because it is too large.
        const instead: OutgoingHeader = new Map();
        const id = header.get(headerName.id);
        if (id !== undefined) instead.set(headerName.id, id);
        writeError(instead, codecError(reason, "executed"), "");
        this.send(instead, new Uint8Array(0));
      }
    }
    this.#adjustReading();
    this.#closeWhenDone();
  }

  /**
   * Reads from the connection only while streams have room, few calls run, and the client reads its
   * responses.
   */
  #adjustReading(): void {
    const wait = this.#full.size > 0 || this.#slots.length >= maxTogether || this.blocked;
    if (wait === this.#paused) return;
    this.#paused = wait;
    if (wait) this.#connection?.pause();
    else this.#connection?.resume();
  }

  #closeWhenDone(): void {
    if (this.openCalls > 0) return;
    if (this.#last) this.#connection?.end();
    else if (this.#handOver !== undefined) {
      const handOver = this.#handOver;
      this.#handOver = undefined;
      if (this.#connections.handsOver) this.#connections.handOver(this, handOver());
      else this.#connection?.refuse?.("404 Not Found", "go-micro's protocol has the path / only");
    }
  }
}

/**
 * Returns a value that a request may state in several places. If they differ, a proxy may have
 * authorized another call than the one that would be made.
 *
 * @throws MicroError `invalid_argument`
 */
function only(what: string, said: readonly string[]): string | undefined {
  const [value, other] = new Set(said.filter((it) => it !== ""));
  if (other === undefined) return value;
  const names = [value, other].map((it) => JSON.stringify(it?.slice(0, 100))).join(" and ");
  throw new MicroError("invalid_argument", `the request names the ${what}s ${names}; name one`, {
    outcome: "not-executed",
  });
}

/**
 * Whether a request uses the envelope from before go-micro 1, which names the called method itself.
 */
function isEnveloped(message: GoMicroMessage): boolean {
  if (line(message, headerName.protocol) !== "") return false;
  if (line(message, headerName.target) !== "") return true;
  const { service, method, endpoint } = headerName;
  return [service, method, endpoint].every((name) => line(message, name) === "");
}

/**
 * Returns the body of an error without a call: callers that use envelopes expect the error there.
 */
function refusalBody(message: GoMicroMessage, error: MicroError): Uint8Array {
  const form = isEnveloped(message)
    ? bodyCodec(line(message, headerName.contentType) || defaultContentType, true)
    : undefined;
  return form?.error(errorText(error, ""), { message: message.body }) ?? new Uint8Array(0);
}

/** Parses a Go duration. A duration longer than a timer can hold is as good as none. */
function nanosecondsToMs(text: string): number | undefined {
  if (!/^\d{1,19}$/.test(text)) return undefined;
  const ms = Number(text) / 1e6;
  return ms > 0 ? ms : undefined;
}

function unknownForm(contentType: string): MicroError {
  return new MicroError(
    "unimplemented",
    `unsupported Content-Type: ${contentType.slice(0, 100)}; send application/json or application/protobuf`,
    { outcome: "not-executed" },
  );
}

function noContentType(): MicroError {
  return new MicroError(
    "unimplemented",
    "the request has no Content-Type; send application/json or application/protobuf",
    { outcome: "not-executed" },
  );
}

function noEvents(topic: string): MicroError {
  return new MicroError(
    "unimplemented",
    `the event on ${topic.slice(0, 100)} came as a call; events come by the broker here`,
    { outcome: "not-executed" },
  );
}
