import type { Agent } from "node:http";
import { MicroError } from "../../../base/error.ts";
import { errorCode } from "../../http2/error-code.ts";
import type { HeaderField } from "../../http2/hpack/header-field.ts";
import type { HeaderTemplate } from "../../http2/hpack/header-template.ts";
import type { ChannelState, TransportLimits } from "../../transport.ts";
import type { HttpCallOptions } from "../call-options.ts";
import type { CallStreamHandler } from "../call-stream.ts";
import type { Compression } from "../compression/algorithms.ts";
import type { DialTarget } from "./dial-target.ts";
import type { ChannelCall } from "./outgoing-calls.ts";
import { OutgoingChannel } from "./outgoing-channel.ts";
import { type OutgoingHttp1Connection, OutgoingHttp1Stream } from "./outgoing-http1-stream.ts";

/** A channel to one server over HTTP/1.1: one connection for each concurrent call. */
export class Http1Channel extends OutgoingChannel implements OutgoingHttp1Connection {
  readonly agent: Agent;
  readonly target: DialTarget;
  readonly windowBytes: number;
  /** Nothing tells when Node has passed on what was written; each stream knows for itself. */
  readonly flushes = 0;
  state: ChannelState = "open";
  #isEstablished = false;
  #closedHere = false;
  /** Why it accepts no further calls, once it does not. */
  #ending: MicroError = new MicroError("canceled", "the channel was closed here");

  /** @param compression of requests; undefined for none. */
  constructor(
    agent: Agent,
    target: DialTarget,
    address: string,
    url: URL,
    options: Partial<HttpCallOptions>,
    limits: TransportLimits,
    compression: Compression | undefined,
  ) {
    super(address, url, options, limits, compression);
    this.agent = agent;
    this.target = target;
    this.windowBytes = limits.streamWindowBytes;
  }

  get isEstablished(): boolean {
    return this.#isEstablished;
  }

  openSoon(call: ChannelCall): void {
    if (this.state === "closed") call.lost(this.#ending);
    else call.open();
  }

  openStream(
    template: HeaderTemplate | undefined,
    fields: readonly HeaderField[],
    end: boolean,
    handler: CallStreamHandler,
  ): OutgoingHttp1Stream {
    return new OutgoingHttp1Stream(this, [...(template?.fields ?? []), ...fields], end, handler);
  }

  /** Node copies nothing. */
  copiesNow(): boolean {
    return false;
  }

  hasLeft(stream: OutgoingHttp1Stream): boolean {
    return stream.hasLeft;
  }

  lossOf(stream: OutgoingHttp1Stream): MicroError {
    return stream.loss!;
  }

  resetSoon(stream: OutgoingHttp1Stream): void {
    stream.reset(errorCode.cancel);
  }

  abandon(stream: OutgoingHttp1Stream): void {
    stream.reset(errorCode.cancel);
  }

  responded(): void {
    this.#isEstablished = true;
  }

  /** The dialer decides when the next connection is opened. */
  failing(reason: MicroError): void {
    if (this.state !== "open") return;
    this.state = "draining";
    this.#ending = reason;
    if (this.openCalls === 0) this.#finish();
  }

  protected override callRemoved(): void {
    if (this.state === "draining" && !this.#closedHere && this.openCalls === 0) this.#finish();
  }

  protected override async closeOnce(graceMs = 0): Promise<void> {
    if (this.state !== "closed") {
      this.#closedHere = true;
      this.state = "draining";
      await this.waitForCalls(graceMs);
      this.cancelCalls();
      this.#finish();
    }
    await this.closed;
  }

  #finish(): void {
    this.state = "closed";
    this.agent.destroy();
    this.settleClosed(this.#closedHere ? undefined : this.#ending);
  }
}
