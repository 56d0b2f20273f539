import type { Socket } from "node:net";
import { MicroError } from "../../../base/error.ts";
import { type Allowance, Bucket } from "../../../base/rate-limit.ts";
import { callRefusal, listenerDraining } from "../../call-errors.ts";
import { ClientConnection, type ClientConnectionOwner } from "../../http2/client-connection.ts";
import { errorCode } from "../../http2/error-code.ts";
import type { HeaderField } from "../../http2/hpack/header-field.ts";
import type { HeaderTemplate } from "../../http2/hpack/header-template.ts";
import { defaultHttp2Limits, type Http2Limits } from "../../http2/limits.ts";
import type { Http2Stream, StreamHandler } from "../../http2/stream.ts";
import type { ChannelState, TransportLimits } from "../../transport.ts";
import type { HttpCallOptions } from "../call-options.ts";
import type { Compression } from "../compression/algorithms.ts";
import { PacedResets } from "../paced-resets.ts";
import type { ChannelCall } from "./outgoing-calls.ts";
import { OutgoingChannel } from "./outgoing-channel.ts";

/**
 * Cancelled calls that a connection tolerates before it is replaced; fewer than servers tolerate.
 */
const resets: Allowance = { what: "calls were cancelled", burst: 500, perSecond: 25 };

/** The largest header of a response that is accepted, in bytes; as Node's client. */
const maxHeaderBytes = 64 * 1024;

/** A channel to one server: a single HTTP/2 connection. */
export class Http2Channel extends OutgoingChannel implements ClientConnectionOwner {
  readonly connection: ClientConnection;
  /** Resolves when the server has sent its settings; rejects if the connection ends before. */
  readonly ready: Promise<void>;
  /** The calls that wait until the server accepts another request, in their order. */
  readonly #waiting = new Set<ChannelCall>();
  #state: ChannelState = "open";
  /** Why it accepts no further calls, if it was not closed here and the server did not say so. */
  #ending: MicroError | undefined;
  #closedHere = false;
  #settleReady: (reason: MicroError | undefined) => void = () => undefined;
  readonly #resets = new Bucket(resets);
  readonly #pacedResets = new PacedResets();

  /** @param compression of requests; undefined for none. */
  constructor(
    socket: Socket,
    address: string,
    url: URL,
    options: Partial<HttpCallOptions>,
    limits: TransportLimits,
    compression: Compression | undefined,
  ) {
    super(address, url, options, limits, compression);
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = (reason) => (reason === undefined ? resolve() : reject(reason));
    });
    // The dialer may not be waiting any longer.
    this.ready.catch(() => undefined);
    this.connection = new ClientConnection(socket, url.origin, http2Limits(limits), this);
  }

  get state(): ChannelState {
    return this.connection.ended ? "closed" : this.#state;
  }

  get flushes(): number {
    return this.connection.writer.flushes;
  }

  openStream(
    template: HeaderTemplate | undefined,
    fields: readonly HeaderField[],
    end: boolean,
    handler: StreamHandler,
  ): Http2Stream {
    return this.connection.request(template, fields, end, handler);
  }

  copiesNow(stream: Http2Stream, bytes: number): boolean {
    return this.connection.sendsNow(stream, bytes);
  }

  hasLeft(_stream: Http2Stream, flushes: number): boolean {
    return this.flushes !== flushes;
  }

  lossOf(): MicroError {
    return this.connection.closedBy!;
  }

  openSoon(call: ChannelCall): void {
    if (this.#waiting.size === 0 && this.connection.capacity > 0) call.open();
    else if (this.#state === "closed" || this.#state === "draining") this.#refuse(call);
    else {
      this.#waiting.add(call);
      call.waits();
    }
  }

  protected override callRemoved(call: ChannelCall): void {
    if (this.#waiting.size > 0) this.#waiting.delete(call);
    this.#finishIfUnused();
  }

  abandon(stream: Http2Stream): void {
    this.#countReset();
    this.resetSoon(stream);
    this.#finishIfUnused();
  }

  resetSoon(stream: Http2Stream): void {
    if (this.#pacedResets.takeTurn()) {
      stream.reset(errorCode.cancel);
      return;
    }
    stream.discard();
    void this.#pacedResets.turn().then(() => stream.reset(errorCode.cancel));
    // Until then it takes one of the places that the server has for calls.
    this.#retireAfter("too many responses that came before their requests were read");
  }

  connected(): void {
    // A server that has no capacity for a connection sends its settings and then refuses it at
    // once.
    setImmediate(() => this.#settleReady(undefined));
  }

  goingAway(_connection: ClientConnection, text: string): void {
    if (this.#state === "open") this.#state = "draining";
    const why = text === "" ? "" : `: ${text}`;
    this.#settleReady(
      new MicroError("unavailable", `${this.address} takes no connection${why}`, {
        outcome: "not-executed",
      }),
    );
    for (const call of [...this.#waiting]) this.#refuse(call);
    this.#finishIfUnused();
  }

  hasCapacity(connection: ClientConnection): void {
    for (const call of this.#waiting) {
      if (connection.capacity === 0) return;
      this.#waiting.delete(call);
      const refused = callRefusal(call.name, call.outgoing);
      if (refused === undefined) call.open();
      else call.cancel(refused);
    }
  }

  connectionEnded(_connection: ClientConnection, reason: MicroError): void {
    this.#state = "closed";
    this.#pacedResets.end();
    // Those that have a stream are told by it.
    for (const call of this.calls) if (call.stream === undefined) call.lost(reason);
    this.#settleReady(reason);
    this.settleClosed(this.#closedHere ? undefined : this.#closedBy(reason));
  }

  protected override async closeOnce(graceMs = 0): Promise<void> {
    const { socket } = this.connection;
    this.#closedHere = true;
    if (this.#state === "open") this.#state = "draining";
    await this.waitForCalls(graceMs);
    const gone = socket.closed
      ? undefined
      : new Promise<void>((resolve) => socket.once("close", () => resolve()));
    for (const call of [...this.#waiting]) this.#refuse(call);
    this.connection.close(this.cancelCalls());
    await gone;
  }

  /** Ends a call that waits, because no further request is accepted. */
  #refuse(call: ChannelCall): void {
    call.cancel(listenerDraining(this.address));
  }

  #closedBy(reason: MicroError): MicroError {
    if (this.#ending !== undefined) return this.#ending;
    if (reason.code === "unavailable" || reason.code === "unauthenticated") return reason;
    return new MicroError(
      "unavailable",
      `the connection to ${this.connection.remote} ended: ${reason.message}`,
      { cause: reason },
    );
  }

  /** Closes the connection of a channel that drains and has no call left. */
  #finishIfUnused(): void {
    if (this.#state !== "draining" || this.#closedHere || this.openCalls > 0) return;
    // Streams that wait to be reset belong to no call any longer, and end with the connection.
    if (this.#pacedResets.isBehind) this.connection.close(listenerDraining(this.address));
    else this.connection.drain();
  }

  #countReset(): void {
    if (!this.#resets.take()) this.#retireAfter(`${resets.burst} calls that were cancelled on it`);
  }

  /** Begins no further calls on the connection, and closes it after the last one. */
  retire(reason: MicroError): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.#ending = reason;
    for (const call of [...this.#waiting]) this.#refuse(call);
    this.#finishIfUnused();
  }

  #retireAfter(what: string): void {
    const reason = `the connection to ${this.address} was closed after ${what}`;
    this.retire(new MicroError("unavailable", reason));
  }
}

/** The caller waits for the server to read as long as its deadline allows. */
function http2Limits(limits: TransportLimits): Http2Limits {
  return {
    ...defaultHttp2Limits,
    maxHeaderListBytes: maxHeaderBytes,
    streamWindowBytes: limits.streamWindowBytes,
    connectionWindowBytes: Math.max(1024 * 1024, 4 * limits.streamWindowBytes),
    maxUnreadBytes: Math.max(defaultHttp2Limits.maxUnreadBytes, 4 * limits.maxMessageBytes),
    handshakeTimeoutMs: limits.handshakeTimeoutMs,
    keepaliveIntervalMs: limits.keepaliveIntervalMs,
    keepaliveTimeoutMs: limits.keepaliveTimeoutMs,
    stallTimeoutMs: Number.POSITIVE_INFINITY,
    shortStallTimeoutMs: Number.POSITIVE_INFINITY,
    maxStalledBytes: Number.POSITIVE_INFINITY,
  };
}
