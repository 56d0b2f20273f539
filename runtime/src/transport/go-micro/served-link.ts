import { deadlineAfter } from "../../deadline.ts";
import { asMicroError, MicroError } from "../../error.ts";
import {
  codecError,
  listenerDraining,
  tooManyCalls,
  unknownMethod,
  wrongKind,
} from "../call-errors.ts";
import { bodyForm } from "./body-forms.ts";
import { errorText, writeError } from "./error-text.ts";
import type { GoMicroLink, LinkOwner } from "./link.ts";
import {
  endOfStream,
  type GoMicroMessage,
  headerName,
  line,
  type OutgoingHeader,
} from "./message.ts";
import { readMetadata } from "./metadata-lines.ts";
import type { ServedCall, ServedCalls, ServedRequest } from "./served-call.ts";
import { ServedStream, type StreamOutlet } from "./served-stream.ts";
import { ServedUnary, type UnaryOutlet } from "./served-unary.ts";

/** The listener that a link belongs to. */
export interface ServedLinks extends ServedCalls {
  /** Where it listens. */
  readonly address: string;
  /** Name of the transport, for `Peer.transport`. */
  readonly transport: string;
  readonly draining: boolean;
  /** The link is over. */
  linkClosed(link: ServedLink): void;
  violated(error: MicroError, peer: string): void;
}

/** What go-micro's servers take a request without a content type for. */
const defaultContentType = "application/protobuf";
/** Ended streams whose late messages are known as such. */
const maxEnded = 1_024;
/** Requests that a client may send without waiting for answers. go-micro's own send one. */
const maxWaiting = 128;

interface Slot {
  readonly call: ServedUnary | undefined;
  answer: { header: OutgoingHeader; body: Uint8Array } | undefined;
}

/** Answers what comes by one link: unary calls in their order, and streams by their names. */
export class ServedLink implements LinkOwner, UnaryOutlet, StreamOutlet {
  readonly #links: ServedLinks;
  readonly #peerAddress: string;
  #link: GoMicroLink | undefined;
  /** Unary calls whose answers have not gone out, the oldest first. */
  #slots: Slot[] = [];
  readonly #streams = new Map<string, ServedStream>();
  readonly #ended = new Set<string>();
  /** Streams that have too much unread. */
  readonly #full = new Set<ServedStream>();
  /** The client sends nothing more, and wants the connection closed after its answers. */
  #last = false;

  constructor(links: ServedLinks, peerAddress: string) {
    this.#links = links;
    this.#peerAddress = peerAddress;
  }

  get openCalls(): number {
    return this.#slots.length + this.#streams.size;
  }

  get blocked(): boolean {
    return this.#link?.blocked ?? false;
  }

  /** Answers by this link from now on. */
  attach(link: GoMicroLink): void {
    this.#link = link;
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
  }

  broken(error: MicroError): void {
    this.#links.violated(error, this.#peerAddress);
    const header: OutgoingHeader = new Map();
    writeError(header, error, "");
    this.#link?.send(header, new Uint8Array(0));
    this.#link?.end();
  }

  closed(): void {
    for (const { call } of [...this.#slots]) call?.leave();
    for (const stream of [...this.#streams.values()]) stream.leave();
    this.#links.linkClosed(this);
  }

  /** Takes no further message, and closes when what was written has gone out. */
  end(): void {
    this.#link?.end();
  }

  complete(call: ServedUnary, header: OutgoingHeader, body: Uint8Array): void {
    const slot = this.#slots.find((it) => it.call === call);
    if (slot !== undefined) slot.answer = { header, body };
    this.#flush();
  }

  send(header: OutgoingHeader, body: Uint8Array): void {
    this.#link?.send(header, body);
  }

  full(stream: ServedStream): void {
    this.#full.add(stream);
    this.#link?.pause();
  }

  roomy(stream: ServedStream): void {
    if (this.#full.delete(stream) && this.#full.size === 0) this.#link?.resume();
  }

  streamEnded(stream: ServedStream): void {
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
    let call: ServedCall;
    try {
      call = this.#call(id, message);
    } catch (reason) {
      this.#refuse(message, asMicroError(reason));
      return;
    }
    if (call instanceof ServedStream) this.#streams.set(call.id, call);
    else this.#slots.push({ call: call as ServedUnary, answer: undefined });
    this.#links.begin(call);
    call.run();
  }

  /** @throws MicroError that refuses the call. */
  #call(id: string, message: GoMicroMessage): ServedCall {
    const { address, limits, draining } = this.#links;
    const request = this.#request(message);
    if (draining) throw listenerDraining(address);
    const waits = this.#slots.length >= Math.min(maxWaiting, limits.maxConcurrentCalls);
    if (waits || this.#streams.size >= limits.maxConcurrentCalls) {
      throw tooManyCalls(address, limits.maxConcurrentCalls);
    }
    const { kind } = request.method;
    if (kind === "unary") return new ServedUnary(this.#links, request, this);
    if (id === "") throw wrongKind(request.method, false);
    const stream = new ServedStream(this.#links, request, id, this);
    // The first message only opens the stream, but for gRPC's frames, whose body is kept.
    if (/^application\/grpc/i.test(request.contentType) && message.body.length > 0) {
      stream.take(message.body);
    }
    return stream;
  }

  /** @throws MicroError where there is no such method, or the body cannot be one of its requests. */
  #request(message: GoMicroMessage): ServedRequest {
    const { dispatcher, address, transport } = this.#links;
    const contentType = line(message, headerName.contentType) || defaultContentType;
    const service = line(message, headerName.service);
    const named = line(message, headerName.endpoint) || line(message, headerName.method);
    const form = bodyForm(contentType, isEnveloped(message));
    if (form === undefined) throw unknownForm(contentType);
    const opened = form.open(message.body);
    const endpoint = named || opened.endpoint || "";
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
      peer: { address: this.#peerAddress, transport },
      metadata: readMetadata(message),
      deadline: timeoutMs === undefined ? Number.POSITIVE_INFINITY : deadlineAfter(timeoutMs),
      marks,
    };
  }

  /** Answers with an error in the place of a request, without a call. */
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
    this.#slots.push({ call: undefined, answer: { header, body } });
    this.#flush();
  }

  #flush(): void {
    while (this.#slots[0]?.answer !== undefined) {
      const { header, body } = this.#slots.shift()!.answer!;
      try {
        this.send(header, body);
      } catch (reason) {
        // An answer that the link does not take, as one that is too large for it.
        const instead: OutgoingHeader = new Map();
        const id = header.get(headerName.id);
        if (id !== undefined) instead.set(headerName.id, id);
        writeError(instead, codecError(reason, "executed"), "");
        this.send(instead, new Uint8Array(0));
      }
    }
    this.#closeWhenDone();
  }

  #closeWhenDone(): void {
    if (this.#last && this.openCalls === 0) this.#link?.end();
  }
}

/** Whether a request is in the envelope of before go-micro 1, which says itself what is called. */
function isEnveloped(message: GoMicroMessage): boolean {
  if (line(message, headerName.protocol) !== "") return false;
  if (line(message, headerName.target) !== "") return true;
  const { service, method, endpoint } = headerName;
  return [service, method, endpoint].every((name) => line(message, name) === "");
}

/** The body of an error without a call: callers that use envelopes look for it there. */
function refusalBody(message: GoMicroMessage, error: MicroError): Uint8Array {
  const form = isEnveloped(message)
    ? bodyForm(line(message, headerName.contentType) || defaultContentType, true)
    : undefined;
  return form?.error(errorText(error, ""), { message: message.body }) ?? new Uint8Array(0);
}

/** Go's durations, of which more than a timer holds are as good as none. */
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

function noEvents(topic: string): MicroError {
  return new MicroError(
    "unimplemented",
    `the event on ${topic.slice(0, 100)} came as a call; events come by the broker here`,
    { outcome: "not-executed" },
  );
}
