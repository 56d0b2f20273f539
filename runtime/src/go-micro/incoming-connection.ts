import type { Socket } from "node:net";
import { MicroError } from "../base/error.ts";
import { type OutputHolder, unreadOutput } from "../base/unread-output.ts";
import type { WebAccess } from "../base/web-access.ts";
import type { Identity } from "../call/account.ts";
import type { ConnectionPeer } from "../call/connection-peer.ts";
import {
  codecError,
  listenerDraining,
  responseUnread,
  tooManyCalls,
  wrongKind,
} from "../transport/call-errors.ts";
import { PendingAdmissions } from "../transport/pending-admissions.ts";
import type { ConnectionOwner, GoMicroConnection } from "./connection.ts";
import { writeError } from "./error-headers.ts";
import type { IncomingCall, IncomingCalls } from "./incoming-call.ts";
import {
  admitRequest,
  deadlineOf,
  type Opening,
  openRequest,
  refusalBody,
} from "./incoming-request.ts";
import { IncomingStream, type StreamOutlet } from "./incoming-stream.ts";
import { IncomingUnary, type UnaryOutlet } from "./incoming-unary.ts";
import {
  endOfStream,
  type GoMicroMessage,
  headerName,
  line,
  type OutgoingHeader,
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
  /** Counts the connections that verify a caller. */
  verifying(change: 1 | -1): void;
  /** The connection continues with a request that is not from go-micro. */
  handOver(connection: IncomingConnection, socket: Socket): void;
  /** The connection has closed. */
  connectionClosed(connection: IncomingConnection): void;
  violated(error: MicroError, peer: string): void;
}

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

/** What arrives while a caller is verified; the connection is paused, if it can be. */
interface HeldMessages {
  readonly messages: GoMicroMessage[];
  bytes: number;
}

interface Response {
  readonly header: OutgoingHeader;
  readonly body: Uint8Array;
}

interface Slot {
  readonly call: IncomingUnary | undefined;
  response: Response | undefined;
}

/** Serves one connection: unary calls in order, and streams by their ids. */
export class IncomingConnection
  implements ConnectionOwner, UnaryOutlet, StreamOutlet, OutputHolder
{
  readonly #connections: IncomingConnections;
  readonly #peer: ConnectionPeer;
  #connection: GoMicroConnection | undefined;
  /** Unary calls whose responses have not been sent, the oldest first. */
  #slots: Slot[] = [];
  readonly #streams = new Map<string, IncomingStream>();
  readonly #ended = new Set<string>();
  /** Streams with too much unread data. */
  readonly #full = new Set<IncomingStream>();
  /** The messages after the request whose caller is being verified; undefined without one. */
  #held: HeldMessages | undefined;
  readonly #pending = new PendingAdmissions();
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
    return this.#slots.length + this.#streams.size + this.#pending.size;
  }

  get blocked(): boolean {
    return this.#connection?.blocked ?? false;
  }

  /** With the responses that wait for those of earlier requests. */
  get unsentBytes(): number {
    let sum = this.#connection?.unsentBytes ?? 0;
    for (const { response } of this.#slots) sum += response?.body.length ?? 0;
    return sum;
  }

  /** Serves this connection from now on. */
  attach(connection: GoMicroConnection): void {
    this.#connection = connection;
  }

  received(message: GoMicroMessage): void {
    if (this.#held === undefined) this.#handle(message);
    else this.#hold(message, this.#held);
  }

  #handle(message: GoMicroMessage): void {
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
    if (this.#held !== undefined) this.#release();
    this.#pending.clear();
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
    if (slot !== undefined) {
      slot.response = unreadOutput.isFull(this)
        ? failed(header, responseUnread(call.request.method.name))
        : { header, body };
    }
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
    const opening: Opening = { message, peer: this.#peer, deadline: deadlineOf(message) };
    try {
      this.#checkAccess(message);
      const identity = admitRequest(this.#connections, opening);
      if (identity instanceof Promise) this.#wait(id, opening, identity);
      else this.#begin(id, opening, identity);
    } catch (reason) {
      this.#refuse(message, codecError(reason, "not-executed"));
    }
  }

  /** Begins the call of a request later, when its caller is verified. */
  #wait(id: string, opening: Opening, identity: Promise<Identity | undefined>): void {
    const { message, deadline } = opening;
    const admitted = (found: Identity | undefined) => {
      const held = this.#release();
      try {
        this.#begin(id, opening, found);
      } catch (reason) {
        this.#refuse(message, codecError(reason, "not-executed"));
      }
      this.#continue(held);
    };
    const refused = (error: MicroError) => {
      const held = this.#release();
      this.#refuse(message, error);
      this.#continue(held);
    };
    this.#pending.wait(identity, { admitted, refused }, deadline);
    this.#held = { messages: [], bytes: 0 };
    this.#connections.verifying(1);
    this.#adjustReading();
  }

  #hold(message: GoMicroMessage, held: HeldMessages): void {
    const { streamWindowBytes, maxMessageBytes } = this.#connections.limits;
    held.messages.push(message);
    held.bytes += message.body.length;
    const isFull = held.bytes > 2 * streamWindowBytes + maxMessageBytes;
    if (!isFull && held.messages.length <= maxWaiting) return;
    this.broken(
      new MicroError("resource_exhausted", "too many messages came while a caller was verified", {
        outcome: "not-executed",
      }),
    );
  }

  #release(): HeldMessages | undefined {
    const held = this.#held;
    this.#held = undefined;
    this.#connections.verifying(-1);
    return held;
  }

  /** Handles what has arrived while a caller was verified. */
  #continue(held: HeldMessages | undefined): void {
    for (const message of held?.messages ?? []) this.received(message);
    this.#adjustReading();
    this.#closeWhenDone();
  }

  /** @throws MicroError that refuses the call. */
  #begin(id: string, opening: Opening, identity: Identity | undefined): void {
    const call = this.#call(id, opening, identity);
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
  #call(id: string, opening: Opening, identity: Identity | undefined): IncomingCall {
    const { address, limits, draining } = this.#connections;
    const request = openRequest(this.#connections, opening, identity);
    if (draining) throw listenerDraining(address);
    const waits = this.#slots.length >= Math.min(maxWaiting, limits.maxConcurrentCalls);
    if (waits || this.#streams.size >= limits.maxConcurrentCalls) {
      throw tooManyCalls(address, limits.maxConcurrentCalls);
    }
    const { kind } = request.method;
    if (kind === "unary") return new IncomingUnary(this.#connections, request, this);
    if (id === "") throw wrongKind(request.method, false);
    const stream = new IncomingStream(this.#connections, request, id, this);
    const { body } = opening.message;
    // The first message only opens the stream, except with gRPC framing, where its body is kept.
    if (/^application\/grpc/i.test(request.contentType) && body.length > 0) {
      stream.take(body);
    }
    return stream;
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
        const instead = failed(header, codecError(reason, "executed"));
        this.send(instead.header, instead.body);
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
    const isBusy = this.#held !== undefined || this.#slots.length >= maxTogether;
    const wait = isBusy || this.#full.size > 0 || this.blocked;
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
    `the event on ${topic.slice(0, 100)} was sent as a call; events are received through the broker`,
    { outcome: "not-executed" },
  );
}

/** Returns an error in place of a response with this header. */
function failed(header: OutgoingHeader, error: MicroError): Response {
  const instead: OutgoingHeader = new Map();
  const id = header.get(headerName.id);
  if (id !== undefined) instead.set(headerName.id, id);
  writeError(instead, error, "");
  return { header: instead, body: new Uint8Array(0) };
}
