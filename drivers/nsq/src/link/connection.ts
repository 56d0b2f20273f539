import { Buffer } from "node:buffer";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { hostname } from "node:os";
import { connect as connectTls } from "node:tls";
import { MicroError } from "@micro-es/runtime";
import {
  type BackendAddress,
  type BackendTlsOptions,
  listenForAbort,
} from "@micro-es/runtime/driver";
import { command, commandHead, magic } from "../wire/commands.ts";
import { FrameReader, type NsqMessage } from "../wire/frames.ts";
import { ConnectionLost, NotSent, NsqRefusal } from "./failure.ts";

/** How a connection is made. */
export interface ConnectionSettings {
  readonly tls: BackendTlsOptions | true | undefined;
  readonly secret: string | undefined;
  /** What nsqd's statistics call this client. */
  readonly name: string;
  /** The longest wait for each response, in milliseconds. */
  readonly timeoutMs: number;
  /** After this time without a word, nsqd delivers a message again, in milliseconds. */
  readonly messageTimeoutMs: number;
  /** The longest message that is received whole, in bytes. */
  readonly maxMessageBytes: number;
}

/** What a server says of itself. */
export interface ServerFeatures {
  /** The most messages that one connection may have. */
  readonly maxReady: number;
}

/** Receives what arrives without being a response. */
export interface ConnectionListener {
  message(message: NsqMessage): void;
  /** The server did not take an acknowledgement, most often because it came too late. */
  notTaken(refusal: NsqRefusal): void;
}

interface PendingResponse {
  readonly sentAt: number;
  resolve(data: Buffer): void;
  reject(reason: Error): void;
}

/** nsqd sends a heartbeat at this interval, in milliseconds. */
const heartbeatMs = 5_000;
/** A connection is lost when nothing arrives for this time, in milliseconds. */
const silenceMs = 2.5 * heartbeatMs;
/** How long a connection waits for the server when it ends, in milliseconds. */
const partingMs = 1_000;
/** Errors about acknowledgements, which have no responses. */
const aboutMessages = /^E_(FIN|REQ|TOUCH)_FAILED/;

/** One connection to an nsqd. */
export class NsqConnection {
  readonly address: BackendAddress;
  features: ServerFeatures = { maxReady: 1 };
  readonly #settings: ConnectionSettings;
  readonly #pending: PendingResponse[] = [];
  readonly #closeListeners = new Set<(reason: Error) => void>();
  #socket: Socket;
  #reader: FrameReader;
  #listener: ConnectionListener | undefined;
  #lost: Error | undefined;
  #isEnding = false;
  #isCorked = false;
  #heardAt: number = performance.now();
  #watch: NodeJS.Timeout | undefined;

  private constructor(address: BackendAddress, socket: Socket, settings: ConnectionSettings) {
    this.address = address;
    this.#settings = settings;
    this.#reader = new FrameReader(settings.maxMessageBytes);
    this.#socket = socket;
    this.#listen(socket);
    this.#watch = setInterval(() => this.#look(), Math.min(settings.timeoutMs, heartbeatMs) / 4);
  }

  /** @throws Error of the dial, of which nothing was executed. */
  static async open(
    address: BackendAddress,
    settings: ConnectionSettings,
    signal: AbortSignal,
  ): Promise<NsqConnection> {
    const { host, port } = address;
    const socket = connectTcp({ host, port, noDelay: true });
    const connection = new NsqConnection(address, socket, settings);
    const stop = listenForAbort(signal, () => connection.#lose(new Error("the link is closed")));
    try {
      await connection.#greet();
      return connection;
    } catch (error) {
      connection.#lose(error as Error);
      if (error instanceof NsqRefusal || error instanceof MicroError) throw error;
      throw new NotSent((error as Error).message, { cause: error });
    } finally {
      stop();
    }
  }

  get isOpen(): boolean {
    return this.#lost === undefined && !this.#isEnding;
  }

  /** Calls the listener when the connection is lost; at once if it is already. */
  onClose(listener: (reason: Error) => void): void {
    if (this.#lost === undefined) this.#closeListeners.add(listener);
    else listener(this.#lost);
  }

  listen(listener: ConnectionListener): void {
    this.#listener = listener;
  }

  /** Sends a command that has no response. Does nothing once the connection is lost. */
  send(...words: readonly (string | number)[]): void {
    if (this.#lost === undefined) this.#write(command(...words));
  }

  /**
   * Sends a command, and resolves with its response.
   * @throws NotSent, ConnectionLost or NsqRefusal
   */
  request(line: string, body?: Buffer): Promise<Buffer> {
    if (!this.isOpen) return Promise.reject(new NotSent("the connection is lost"));
    return new Promise((resolve, reject) => {
      this.#pending.push({ sentAt: performance.now(), resolve, reject });
      if (body === undefined) this.#write(command(line));
      else {
        this.#write(commandHead(line, body.length));
        this.#write(body);
      }
    });
  }

  /** Ends the connection once everything is sent, and waits for the server for a moment. */
  async end(): Promise<void> {
    if (this.#lost !== undefined || this.#isEnding) return;
    this.#isEnding = true;
    const ended = new Promise<void>((resolve) => this.onClose(() => resolve()));
    const late = setTimeout(() => this.#lose(new Error("the connection has ended")), partingMs);
    this.#socket.end();
    await ended;
    clearTimeout(late);
  }

  /** Ends the connection at once. */
  destroy(reason: Error): void {
    this.#lose(reason);
  }

  /** Introduces this client, changes to TLS and authenticates. */
  async #greet(): Promise<void> {
    const { tls, secret, name, messageTimeoutMs } = this.#settings;
    this.#write(magic);
    const identity = {
      client_id: name,
      hostname: hostname(),
      user_agent: "micro-es",
      feature_negotiation: true,
      heartbeat_interval: heartbeatMs,
      // Without a buffer a message waits for no other.
      output_buffer_size: -1,
      output_buffer_timeout: -1,
      msg_timeout: messageTimeoutMs,
      tls_v1: tls !== undefined,
    };
    const response = await this.request("IDENTIFY", Buffer.from(JSON.stringify(identity)));
    const features = parse(response);
    const maxReady = Number(features.max_rdy_count);
    this.features = { maxReady: Number.isInteger(maxReady) && maxReady > 0 ? maxReady : 1 };
    if (tls !== undefined) {
      if (features.tls_v1 !== true)
        throw refused(
          "failed_precondition",
          "nsqd has no TLS; remove it from the options or give nsqd a certificate",
        );
      await this.#encrypt(tls);
    }
    if (secret !== undefined) {
      if (features.auth_required !== true) return;
      await this.request("AUTH", Buffer.from(secret));
    } else if (features.auth_required === true) {
      throw refused("unauthenticated", "nsqd needs a secret; give it as the option secret");
    }
  }

  async #encrypt(tls: BackendTlsOptions | true): Promise<void> {
    const plain = this.#socket;
    const { host } = this.address;
    plain.removeAllListeners("data");
    const response = new Promise<Buffer>((resolve, reject) => {
      this.#pending.push({ sentAt: performance.now(), resolve, reject });
    });
    const names = isIP(host) === 0 ? { servername: host } : {};
    const socket = connectTls({ socket: plain, host, ...names, ...(tls === true ? {} : tls) });
    this.#listen(socket);
    await response;
  }

  #listen(socket: Socket): void {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", (error) => this.#lose(error));
    socket.on("close", () => this.#lose(new Error("the server closed the connection")));
  }

  #write(bytes: Buffer): void {
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(bytes);
  }

  #receive(chunk: Buffer): void {
    this.#heardAt = performance.now();
    try {
      for (const frame of this.#reader.push(chunk)) {
        if (this.#lost !== undefined) return;
        if (frame.type === "message") this.#listener?.message(frame);
        else if (frame.type === "response") this.#respond(frame.data);
        else this.#fail(new NsqRefusal(frame.data));
      }
    } catch (error) {
      this.#lose(error as Error);
    }
  }

  #respond(data: Buffer): void {
    if (data.equals(heartbeat)) {
      this.#write(command("NOP"));
      return;
    }
    const pending = this.#pending.shift();
    if (pending === undefined) this.#lose(new Error("it sent a response to no command"));
    else pending.resolve(data);
  }

  #fail(refusal: NsqRefusal): void {
    if (aboutMessages.test(refusal.word)) {
      this.#listener?.notTaken(refusal);
      return;
    }
    // nsqd reads nothing after what it refused, and closes the connection.
    const [refused, ...unread] = this.#pending.splice(0);
    refused?.reject(refusal);
    for (const { reject } of unread) reject(new NotSent("nsqd refused an earlier command"));
    this.#lose(refusal);
  }

  #look(): void {
    const now = performance.now();
    const { timeoutMs } = this.#settings;
    const oldest = this.#pending[0]?.sentAt ?? now;
    if (now - oldest > timeoutMs) this.#lose(new Error(`no response within ${timeoutMs} ms`));
    else if (now - this.#heardAt > silenceMs) this.#lose(new Error(`silent for ${silenceMs} ms`));
  }

  #lose(reason: Error): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    clearInterval(this.#watch);
    this.#socket.destroy();
    for (const { reject } of this.#pending.splice(0)) {
      reject(new ConnectionLost(reason.message, { cause: reason }));
    }
    for (const listener of this.#closeListeners) listener(reason);
    this.#closeListeners.clear();
  }
}

const heartbeat = Buffer.from("_heartbeat_");

function parse(response: Buffer): Readonly<Record<string, unknown>> {
  try {
    const features: unknown = JSON.parse(response.toString());
    if (typeof features === "object" && features !== null) return { ...features };
  } catch {
    // Another server, which says no more than OK.
  }
  throw new Error("it does not speak NSQ's protocol with features");
}

function refused(code: "failed_precondition" | "unauthenticated", message: string): MicroError {
  return new MicroError(code, message, { outcome: "not-executed" });
}
