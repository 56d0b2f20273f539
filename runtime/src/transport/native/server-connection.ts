import type { Socket } from "node:net";
import { type Deadline, DeadlineSweep } from "../../base/deadline.ts";
import { codeToNumber, MicroError } from "../../base/error.ts";
import type { Metadata } from "../../base/metadata.ts";
import type { Identity } from "../../call/account.ts";
import { type Awaitable, deadlineExceeded, type Peer } from "../../call/call.ts";
import type { AnyMethod } from "../../call/method.ts";
import { admitIdentity, credentialOf, needsCredential } from "../admission.ts";
import {
  callerGone,
  codecError,
  listenerDraining,
  messageTooLarge,
  tooManyCalls,
  unknownContentType,
  unknownMethod,
  wrongKind,
} from "../call-errors.ts";
import { PendingAdmissions } from "../pending-admissions.ts";
import type { CallAccess, Dispatcher, TransportLimits } from "../transport.ts";
import { CallTable } from "./call-table.ts";
import { Connection } from "./connection.ts";
import { retryField, statusField, writeStatus } from "./error-status.ts";
import { readUint16 } from "./frame-reader.ts";
import type { IncomingCall, IncomingCalls } from "./incoming-call.ts";
import { IncomingStream } from "./incoming-stream.ts";
import { IncomingUnary } from "./incoming-unary.ts";
import { blockEnd, checkCredit, readMetadata, view } from "./payload.ts";
import {
  flag,
  frameType,
  maxMethodNameBytes,
  maxMethods,
  preface,
  rememberedCredentials,
} from "./protocol.ts";
import { ReceivedCredentials } from "./received-credentials.ts";

/** A method as the client named it. */
interface NamedMethod {
  readonly name: string;
  readonly contentType: string;
  /**
   * The dispatcher's method for the name. The lookup is repeated at each call until it succeeds.
   */
  method: AnyMethod | undefined;
}

/** The listener that accepted a connection. */
export interface ServerConnectionOwner {
  /** Where it listens. */
  readonly address: string;
  readonly dispatcher: Dispatcher;
  readonly draining: boolean;
  callEnded(): void;
  connectionEnded(connection: ServerConnection, reason: MicroError, violated: boolean): void;
}

const canceledNumber = codeToNumber("canceled");
/**
 * Calls that are accepted in a row. One chunk can hold thousands of calls, whose responses would
 * all be written before any could be detected as unread.
 */
const callsAtOnce = 64;
/** The size of a credential's number, in bytes. */
const proofBytes = 2;
/** The flags of a unary call. */
const wholeRequest = flag.message | flag.end;

/** The server's end of a connection: accepts calls and passes them to the dispatcher. */
export class ServerConnection extends Connection implements IncomingCalls {
  readonly remote: string;
  readonly dispatcher: Dispatcher;
  readonly #owner: ServerConnectionOwner;
  readonly #peer: Peer;
  /** The methods by the number that the client assigned; number 0 is not assigned. */
  readonly #methods: (NamedMethod | undefined)[] = [];
  #methodCount = 0;
  readonly #calls = new CallTable<IncomingCall>();
  readonly #pending = new PendingAdmissions();
  #credentials: ReceivedCredentials | undefined = undefined;
  /** Calls since reading was last paused, or a chunk began. */
  #taken = 0;
  #chunk = 0;
  #drains = false;
  readonly #sweep: DeadlineSweep;

  constructor(socket: Socket, peer: Peer, limits: TransportLimits, owner: ServerConnectionOwner) {
    super(socket, limits, true);
    this.remote = peer.address;
    this.#peer = peer;
    this.#owner = owner;
    this.dispatcher = owner.dispatcher;
    this.#sweep = new DeadlineSweep((now) => this.#expire(now));
  }

  get openCalls(): number {
    return this.#calls.size;
  }

  protected override get rememberedCredentials(): number {
    return this.dispatcher.access === undefined ? 0 : rememberedCredentials;
  }

  /** Tells the client to open no further calls. */
  drain(): void {
    this.#drains = true;
    if (this.helloSeen && !this.ended) this.goAway();
  }

  /** Rejects the connection with a reason. */
  refuse(reason: MicroError): void {
    this.socket.write(preface);
    this.goAway(reason);
    this.writer.flush();
    this.end(reason, true);
  }

  /** Ends the open calls, and the connection. */
  close(reason: MicroError): void {
    for (const call of this.#calls.values()) call.refuse(reason);
    this.finish(reason);
  }

  remove(call: IncomingCall): void {
    if (this.#calls.delete(call)) this.#owner.callEnded();
  }

  tooMuchUnread(method: string): MicroError {
    return new MicroError(
      "resource_exhausted",
      `${method} was ended because the connection of ${this.remote} has ${this.maxUnreadBytes} bytes of messages that no handler has read`,
    );
  }

  protected handshaken(): void {
    if (this.#drains || this.#owner.draining) this.goAway();
  }

  protected wentAway(): void {
    // The client makes no further calls, and closes when its last one has ended.
  }

  protected handleFrame(
    type: number,
    flags: number,
    method: number,
    id: number,
    aux: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (type === frameType.call) {
      if (this.chunks !== this.#chunk) {
        this.#chunk = this.chunks;
        this.#taken = 0;
      }
      this.#openCall(flags, method, id, aux, bytes, start, end);
      if (++this.#taken === callsAtOnce) {
        this.#taken = 0;
        this.restReading();
      }
      return;
    }
    if (type === frameType.method) {
      this.#nameMethod(method, bytes, start, end);
      return;
    }
    const call = this.#calls.get(id);
    switch (type) {
      case frameType.message:
        if (call === undefined) return;
        this.#receive(streaming(call), flags, bytes, start, end);
        break;
      case frameType.end:
        if (call === undefined) return;
        streaming(call).requests.end();
        break;
      case frameType.cancel:
        call?.abandon(
          aux === canceledNumber
            ? callerGone(call.method.name)
            : deadlineExceeded(call.method.name),
        );
        break;
      case frameType.credential:
        this.#receiveCredential(method, bytes, start, end);
        break;
      case frameType.credit:
        checkCredit(aux);
        if (call instanceof IncomingStream) call.granted(aux);
        break;
      default:
        throw new MicroError("invalid_argument", `received frame type ${type} from a client`);
    }
  }

  protected connectionEnded(reason: MicroError, violated: boolean): void {
    this.#sweep.close();
    this.#pending.clear();
    for (const call of this.#calls.values()) call.abandon(callerGone(call.method.name));
    this.#owner.connectionEnded(this, reason, violated);
  }

  #nameMethod(number: number, bytes: Uint8Array, start: number, end: number): void {
    if (number === 0 || this.#methods[number] !== undefined) {
      throw new MicroError("invalid_argument", `received method number ${number} twice`);
    }
    if (++this.#methodCount > maxMethods) {
      throw new MicroError("resource_exhausted", `received more than ${maxMethods} method names`);
    }
    const nameAt = start + 1 + (bytes[start] ?? 0);
    const nameLength = end - nameAt;
    if (start === end || nameLength < 1 || nameLength > maxMethodNameBytes) {
      throw new MicroError("invalid_argument", "received a METHOD without a possible name");
    }
    const text = Buffer.from(view(bytes, start + 1, end)).toString("latin1");
    if (!/^[\x21-\x7e]+$/.test(text)) {
      throw new MicroError("invalid_argument", "received a METHOD with a forbidden character");
    }
    const contentType = text.slice(0, nameAt - start - 1);
    const name = text.slice(nameAt - start - 1);
    this.#methods[number] = { name, contentType, method: undefined };
  }

  #openCall(
    flags: number,
    number: number,
    id: number,
    aux: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const named = this.#methods[number];
    if (named === undefined) {
      throw new MicroError(
        "invalid_argument",
        `received a call of method number ${number}, which has no name`,
      );
    }
    if (id === 0 || this.#calls.get(id) !== undefined) {
      throw new MicroError("invalid_argument", `received a call with number ${id}, which is taken`);
    }
    const isStream = (flags & flag.stream) !== 0;
    if (!isStream && (flags & wholeRequest) !== wholeRequest) {
      throw new MicroError("invalid_argument", "received a unary call without its message");
    }
    let from = start;
    let proof = 0;
    if ((flags & flag.credential) !== 0) {
      proof = this.#readProof(bytes, start, end);
      from += proofBytes;
    }
    const at = (flags & flag.metadata) === 0 ? from : blockEnd(bytes, from, end);
    const metadata = at === from ? undefined : readMetadata(bytes, from, at);
    if ((flags & flag.message) === 0 && at < end) {
      throw new MicroError("invalid_argument", "received a call with bytes and no message");
    }
    named.method ??= this.#find(named);
    const { method } = named;
    if (method === undefined || !this.#takes(method, isStream, end - at)) {
      this.#refuseUnfit(id, named, metadata, proof, isStream, end - at);
      return;
    }
    const { access } = this.dispatcher;
    let identity: Awaitable<Identity | undefined>;
    if (access !== undefined) {
      try {
        const caller = this.#identify(access, metadata, proof);
        identity = admitIdentity(access, method, caller, this.#peer);
      } catch (reason) {
        this.#refuseCall(id, codecError(reason, "not-executed"));
        return;
      }
    }
    const deadline: Deadline = aux === 0 ? Number.POSITIVE_INFINITY : this.now + aux;
    if (isStream) {
      const call = new IncomingStream(this, id, method, this.#peer, metadata, deadline);
      this.#add(call);
      if (proof !== 0) call.present(this.#credentials?.credential(proof));
      if (access !== undefined) this.#admit(call, identity);
      if (call.ended) return;
      this.#receive(call, flags, bytes, at, end, (flags & flag.message) !== 0);
      call.run();
      return;
    }
    const call = new IncomingUnary(this, id, method, this.#peer, metadata, deadline);
    this.#add(call);
    if (proof !== 0) call.present(this.#credentials?.credential(proof));
    if (access !== undefined) this.#admit(call, identity);
    if (call.isWaiting) call.hold(bytes, at, end);
    else if (!call.ended) call.run(bytes, at, end);
  }

  /**
   * Returns who presents the credential of a call.
   *
   * @param proof the number of a credential of the connection; 0 if the call names none
   * @throws MicroError as {@link CallAccess}; `unauthenticated` if the metadata has another one.
   */
  #identify(
    access: CallAccess,
    metadata: Metadata | undefined,
    proof: number,
  ): Awaitable<Identity | undefined> {
    if (proof !== 0 && this.#credentials !== undefined) {
      // Only one of the two would be verified, and a handler could trust the other.
      if (metadata?.has("authorization") === true) throw needsCredential();
      return this.#credentials.identity(proof);
    }
    return access.identify(credentialOf(metadata), this.#peer);
  }

  #readProof(bytes: Uint8Array, start: number, end: number): number {
    const proof = end - start < proofBytes ? 0 : readUint16(bytes, start);
    if (this.#credentials?.has(proof) === true) return proof;
    throw new MicroError("invalid_argument", "received a call with the number of no credential");
  }

  #receiveCredential(number: number, bytes: Uint8Array, start: number, end: number): void {
    const { access } = this.dispatcher;
    if (access === undefined) {
      throw new MicroError("invalid_argument", "received a CREDENTIAL, and none is remembered");
    }
    this.#credentials ??= new ReceivedCredentials(access, this.#peer);
    this.#credentials.receive(number, bytes, start, end);
  }

  /** Admits a call, or lets it wait until its caller is verified. */
  #admit(call: IncomingCall, identity: Awaitable<Identity | undefined>): void {
    if (!(identity instanceof Promise)) {
      call.admit(identity);
      return;
    }
    try {
      call.waitForAdmission(this.#pending.wait(identity, call));
    } catch (reason) {
      call.fail(reason);
    }
  }

  /** Handles a frame of a stream: a message, the end of its requests, or both. */
  #receive(
    call: IncomingStream,
    flags: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    hasMessage = true,
  ): void {
    if (hasMessage) call.receive(bytes, start, end);
    if ((flags & flag.end) !== 0) call.requests.end();
  }

  #add(call: IncomingCall): void {
    this.#calls.add(call);
    if (call.deadline !== Number.POSITIVE_INFINITY) this.#sweep.watch(call.deadline);
  }

  /** Returns the method with a name, if it is served here with the client's content type. */
  #find({ name, contentType }: NamedMethod): AnyMethod | undefined {
    const method = this.dispatcher.method(name);
    return method?.input.contentType === contentType ? method : undefined;
  }

  /** Whether a call of a known method is accepted. */
  #takes(method: AnyMethod, isStream: boolean, messageBytes: number): boolean {
    return (
      !this.#owner.draining &&
      this.#calls.size < this.limits.maxConcurrentCalls &&
      (method.kind !== "unary") === isStream &&
      messageBytes <= this.limits.maxMessageBytes
    );
  }

  /**
   * Refuses a call that does not fit its method, or that is not accepted now. A caller that is not
   * admitted learns nothing of the method.
   */
  #refuseUnfit(
    id: number,
    named: NamedMethod,
    metadata: Metadata | undefined,
    proof: number,
    isStream: boolean,
    messageBytes: number,
  ): void {
    const busy = this.#busy();
    if (busy !== undefined) {
      this.#refuseCall(id, busy);
      return;
    }
    const { access } = this.dispatcher;
    const method = this.dispatcher.method(named.name);
    const admitted = (identity: Identity | undefined) =>
      this.#refuseCall(id, this.#misfit(named, method, isStream, messageBytes, identity));
    if (access === undefined) {
      admitted(undefined);
      return;
    }
    const refused = (reason: unknown) => this.#refuseCall(id, codecError(reason, "not-executed"));
    try {
      const caller = this.#identify(access, metadata, proof);
      const identity =
        method === undefined ? caller : admitIdentity(access, method, caller, this.#peer);
      if (identity instanceof Promise) this.#pending.wait(identity, { admitted, refused });
      else admitted(identity);
    } catch (reason) {
      refused(reason);
    }
  }

  /** Returns why no call is accepted now. */
  #busy(): MicroError | undefined {
    const { maxConcurrentCalls } = this.limits;
    if (this.#owner.draining) return listenerDraining(this.#owner.address);
    if (this.#calls.size < maxConcurrentCalls) return undefined;
    return tooManyCalls(this.#owner.address, maxConcurrentCalls);
  }

  /** Returns why a call does not fit its method. Nothing of it has run. */
  #misfit(
    { name, contentType }: NamedMethod,
    method: AnyMethod | undefined,
    isStream: boolean,
    messageBytes: number,
    identity: Identity | undefined,
  ): MicroError {
    const { limits, dispatcher } = this;
    if (method === undefined) {
      return dispatcher.unknownMethod?.(name, identity) ?? unknownMethod(name, this.#owner.address);
    }
    if (method.input.contentType !== contentType) return unknownContentType(contentType, method);
    if ((method.kind !== "unary") !== isStream) return wrongKind(method, isStream);
    const what = `the request of ${name}`;
    return messageTooLarge(what, messageBytes, limits.maxMessageBytes, "not-executed");
  }

  #refuseCall(id: number, error: MicroError): void {
    const { writer } = this;
    if (this.ended) return;
    writer.open(frameType.result, flag.error, statusField(error), id, retryField(error));
    writeStatus(writer, error);
    writer.close();
  }

  #expire(now: number): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const call of this.#calls.values()) {
      if (call.deadline <= now) call.expire();
      else if (call.deadline < next) next = call.deadline;
    }
    return next;
  }
}

function streaming(call: IncomingCall): IncomingStream {
  if (call instanceof IncomingStream) return call;
  throw new MicroError(
    "invalid_argument",
    `received a stream message for ${call.method.name}, a unary call`,
  );
}
