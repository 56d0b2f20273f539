import { Buffer } from "node:buffer";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { MicroError } from "@micro-es/runtime";
import {
  abortError,
  type BackendAddress,
  listenForAbort,
  throwIfAborted,
} from "@micro-es/runtime/driver";
import { FrameReader } from "../wire/frames.ts";
import { JuteReader, MalformedError } from "../wire/jute.ts";
import {
  type ConnectRequest,
  type ConnectResponse,
  decodeConnect,
  decodeEvent,
  decodeHeader,
  encodeAuth,
  encodeClose,
  encodeConnect,
  encodeHead,
  encodePing,
  encodeSetWatches,
  type WatchEvent,
  xids,
} from "../wire/messages.ts";
import type { Operation } from "../wire/operations.ts";
import { responseFailure, unavailable } from "./failure.ts";
import type { ZooKeeperTlsOptions } from "./options.ts";

/** The largest request that ZooKeeper takes by default; a larger one closes the connection. */
const maxRequestBytes = 1024 * 1024 - 1;
/** The largest response that is read, in bytes: a list of children has no pages. */
const maxResponseBytes = 16 * 1024 * 1024;
const maxHandshakeBytes = 4 * 1024;
/** How many requests may wait for their responses, such as the reads of a large service. */
const maxPending = 100_000;
const maxXid = 2 ** 31 - 1;

export interface ConnectionOptions {
  readonly tls: ZooKeeperTlsOptions | true | undefined;
  /** Of each response. */
  readonly timeoutMs: number;
  /** Of connecting and of the first response. */
  readonly handshakeMs: number;
  readonly session: ConnectRequest;
}

export interface ConnectionFollower {
  event(event: WatchEvent): void;
  /** The server responded to something that was sent at this time, and had this transaction. */
  heard(sentAt: number, zxid: bigint): void;
  /** The connection has ended, and not by {@link ZooKeeperConnection.close}. */
  lost(reason: MicroError): void;
}

interface Pending {
  readonly path: string;
  readonly isRead: boolean;
  readonly sentAt: number;
  readonly read: (reader: JuteReader) => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (reason: MicroError) => void;
}

/** The server accepted the connection, and closed it without a word on the session. */
export class ClosedInHandshake extends Error {}

/** One connection of a session. Responses come in the order of the requests. */
export class ZooKeeperConnection {
  readonly server: string;
  readonly granted: ConnectResponse;
  readonly #socket: Socket;
  readonly #frames: FrameReader;
  readonly #timeoutMs: number;
  readonly #pending = new Map<number, Pending>();
  #follower: ConnectionFollower | undefined;
  #xid = 0;
  #pingSentAt: number | undefined;
  #heardAt: number = performance.now();
  #tickedAt: number = performance.now();
  #sentPingAt: number = performance.now();
  #ticking: NodeJS.Timeout | undefined;
  #isCorked = false;
  #ended: MicroError | undefined;

  private constructor(
    server: string,
    socket: Socket,
    frames: FrameReader,
    granted: ConnectResponse,
    timeoutMs: number,
  ) {
    this.server = server;
    this.granted = granted;
    this.#socket = socket;
    this.#frames = frames;
    this.#timeoutMs = timeoutMs;
    // An error without a listener would end the process.
    socket.on("error", () => {});
  }

  /**
   * Connects to a server, and attaches to the session or begins one. The session of the result has
   * expired if its granted timeout is not positive.
   * @throws MicroError `unavailable`, with a {@link ClosedInHandshake} as its cause where the
   * server refused the session.
   */
  static async open(
    address: BackendAddress,
    options: ConnectionOptions,
    signal: AbortSignal,
  ): Promise<ZooKeeperConnection> {
    throwIfAborted(signal);
    const server = address.text;
    const socket = dial(address, options.tls);
    socket.setNoDelay(true);
    const frames = new FrameReader(maxHandshakeBytes);
    try {
      const event = options.tls === undefined ? "connect" : "secureConnect";
      const granted = await handshake(socket, frames, event, server, options, signal);
      frames.allow(maxResponseBytes);
      return new ZooKeeperConnection(server, socket, frames, granted, options.timeoutMs);
    } catch (error) {
      socket.on("error", () => {});
      socket.destroy();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.#ended === undefined;
  }

  /**
   * Begins to read responses. Requests may be sent from now on.
   * @param credential is presented first of all.
   */
  follow(follower: ConnectionFollower, credential: string | undefined): void {
    this.#follower = follower;
    const socket = this.#socket;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", (error) => this.#lose(`the connection failed: ${error.message}`, error));
    socket.on("close", () => this.#lose("the server closed the connection"));
    if (credential !== undefined) this.#write(encodeAuth("digest", Buffer.from(credential)));
    const tickMs = Math.min(this.granted.timeoutMs / 12, this.#timeoutMs / 4);
    this.#ticking = setInterval(() => this.#tick(), Math.max(tickMs, 10));
    this.#ticking.unref();
    if (socket.destroyed) this.#lose("the server closed the connection");
    this.#readFrames();
    socket.resume();
  }

  /**
   * @throws MicroError `invalid_argument` for a request that is too large, `unavailable` and
   * `deadline_exceeded` when the connection ends before the response, with the outcome `unknown`
   * for a write; or the error of the response.
   */
  send<T>(operation: Operation<T>): Promise<T> {
    const { path, isRead, read } = operation;
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    if (this.#pending.size >= maxPending) {
      return Promise.reject(
        new MicroError("resource_exhausted", "too many requests wait for ZooKeeper", {
          outcome: "not-executed",
        }),
      );
    }
    const xid = this.#nextXid();
    const writer = encodeHead(xid, operation.type);
    operation.write(writer);
    const frame = writer.frame();
    if (frame.length - 4 > maxRequestBytes) {
      return Promise.reject(tooLarge(path, frame.length - 4));
    }
    return new Promise<T>((resolve, reject) => {
      const sentAt = performance.now();
      this.#pending.set(xid, { path, isRead, sentAt, read, resolve, reject });
      this.#write(frame);
    });
  }

  /** Sets persistent watches; those whose paths would make a request too large in several. */
  setWatches(zxid: bigint, own: readonly string[], tree: readonly string[]): void {
    const paths = [
      ...own.map((path) => ({ path, isTree: false })),
      ...tree.map((path) => ({ path, isTree: true })),
    ];
    let [batch, bytes] = [[] as typeof paths, 0];
    const flush = () => {
      if (batch.length === 0) return;
      const of = (isTree: boolean) =>
        batch.filter((each) => each.isTree === isTree).map(({ path }) => path);
      this.#write(encodeSetWatches(zxid, of(false), of(true)));
      [batch, bytes] = [[], 0];
    };
    for (const each of paths) {
      const size = 4 + Buffer.byteLength(each.path);
      if (bytes + size > maxRequestBytes / 2) flush();
      batch.push(each);
      bytes += size;
    }
    flush();
  }

  /** Ends the session, and with it what is ephemeral. Waits for the server, but not for long. */
  async endSession(): Promise<void> {
    if (this.#ended !== undefined) return;
    const xid = this.#nextXid();
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(done, Math.min(this.#timeoutMs, 1_000));
      const sentAt = performance.now();
      const entry = { path: "", isRead: true, sentAt, read: done, resolve: done, reject: done };
      this.#pending.set(xid, entry);
      this.#write(encodeClose(xid));
    });
  }

  /** Closes the connection; its session stays. */
  close(reason: MicroError): void {
    this.#follower = undefined;
    this.#end(reason);
  }

  #nextXid(): number {
    this.#xid = this.#xid >= maxXid ? 1 : this.#xid + 1;
    return this.#xid;
  }

  /** Requests of one turn are sent together. */
  #write(frame: Buffer): void {
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(frame);
  }

  #tick(): void {
    const now = performance.now();
    const { timeoutMs } = this.granted;
    // After a pause of this process, what arrived meanwhile is still to be read.
    const wasPaused = now - this.#tickedAt > timeoutMs / 3;
    this.#tickedAt = now;
    if (!wasPaused) {
      if (now - this.#heardAt > (timeoutMs * 2) / 3) {
        this.#lose(`the server said nothing for ${Math.round(now - this.#heardAt)} ms`);
        return;
      }
      for (const { sentAt } of this.#pending.values()) {
        if (now - sentAt <= this.#timeoutMs) break;
        const message = `${this.server} did not respond within ${this.#timeoutMs} ms`;
        this.#end(new MicroError("deadline_exceeded", message, { outcome: "unknown" }));
        return;
      }
    }
    if (now - this.#sentPingAt < timeoutMs / 3 - 1 && !wasPaused) return;
    this.#sentPingAt = now;
    this.#pingSentAt ??= now;
    this.#write(encodePing());
  }

  #receive(chunk: Buffer): void {
    this.#heardAt = performance.now();
    this.#frames.push(chunk);
    this.#readFrames();
  }

  #readFrames(): void {
    try {
      for (;;) {
        const frame = this.#ended === undefined ? this.#frames.next() : undefined;
        if (frame === undefined) return;
        this.#take(new JuteReader(frame));
      }
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.#lose(`it sent what is not ZooKeeper's protocol: ${error.message}`, error);
    }
  }

  #take(reader: JuteReader): void {
    const { xid, zxid, err } = decodeHeader(reader);
    if (xid === xids.event) {
      this.#follower?.event(decodeEvent(reader));
      return;
    }
    if (xid === xids.ping) {
      const sentAt = this.#pingSentAt;
      this.#pingSentAt = undefined;
      if (sentAt !== undefined) this.#follower?.heard(sentAt, zxid);
      return;
    }
    if (xid === xids.auth) {
      if (err !== 0) this.#end(responseFailure(err, "/"));
      return;
    }
    if (xid === xids.setWatches) {
      if (err !== 0) this.#lose(`it refuses watches with the error ${err}`);
      return;
    }
    const [first] = this.#pending;
    if (first === undefined || first[0] !== xid) {
      throw new MalformedError(`a response to ${xid}, where ${first?.[0] ?? "none"} is awaited`);
    }
    const pending = first[1];
    // Reading it may fail, which ends the connection with all that wait.
    const value = err === 0 ? pending.read(reader) : undefined;
    this.#pending.delete(xid);
    this.#follower?.heard(pending.sentAt, zxid);
    if (err === 0) pending.resolve(value as never);
    else pending.reject(responseFailure(err, pending.path));
  }

  #lose(message: string, cause?: unknown): void {
    this.#end(unavailable(`${this.server}: ${message}`, true, cause));
  }

  #end(reason: MicroError): void {
    if (this.#ended !== undefined) return;
    const { code, message } = reason;
    // Later requests fail with it, and were not sent.
    this.#ended = new MicroError(code, message, { outcome: "not-executed", cause: reason });
    clearInterval(this.#ticking);
    this.#socket.destroy();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { isRead, reject } of pending) {
      const outcome = isRead ? "not-executed" : "unknown";
      reject(new MicroError(code, message, { outcome, cause: reason }));
    }
    this.#follower?.lost(reason);
  }
}

function dial({ host, port }: BackendAddress, tls: ZooKeeperTlsOptions | true | undefined): Socket {
  if (tls === undefined) return connectTcp({ host, port });
  const names = isIP(host) === 0 ? { servername: host } : {};
  return connectTls({ host, port, ...names, ...(tls === true ? {} : tls) });
}

/** Leaves the socket paused, with no listener. */
function handshake(
  socket: Socket,
  frames: FrameReader,
  connectEvent: string,
  server: string,
  { handshakeMs, session }: ConnectionOptions,
  signal: AbortSignal,
): Promise<ConnectResponse> {
  return new Promise((resolve, reject) => {
    let isConnected = false;
    const timer = setTimeout(() => {
      const message = `${server} did not ${isConnected ? "respond" : "accept a connection"} within ${handshakeMs} ms`;
      settle(new MicroError("deadline_exceeded", message, { outcome: "not-executed" }));
    }, handshakeMs);
    timer.unref();
    const settle = (error: unknown, granted?: ConnectResponse) => {
      clearTimeout(timer);
      stopListening();
      for (const [event, listener] of Object.entries(listeners)) socket.off(event, listener);
      socket.pause();
      if (granted === undefined) reject(error);
      else resolve(granted);
    };
    const listeners = {
      [connectEvent]: () => {
        isConnected = true;
        socket.write(encodeConnect(session));
      },
      data: (chunk: Buffer) => {
        frames.push(chunk);
        try {
          const frame = frames.next();
          if (frame !== undefined) settle(undefined, decodeConnect(new JuteReader(frame)));
        } catch (error) {
          const message = `${server} does not speak ZooKeeper's protocol: ${(error as Error).message}`;
          settle(unavailable(message, false, error));
        }
      },
      error: (error: Error) => settle(unavailable(`${server}: ${error.message}`, false, error)),
      close: () => {
        const message = `${server} closed the connection without granting a session`;
        const cause = isConnected ? new ClosedInHandshake(message) : undefined;
        settle(unavailable(message, false, cause));
      },
    };
    for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener);
    const stopListening = listenForAbort(signal, (reason) => settle(abortError(reason)));
  });
}

function tooLarge(path: string, bytes: number): MicroError {
  const shown = JSON.stringify(path.slice(0, 200));
  return new MicroError(
    "invalid_argument",
    `the request for ${shown} has ${bytes} bytes; ZooKeeper takes ${maxRequestBytes} at most`,
    { outcome: "not-executed" },
  );
}
