import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import type { BackendAddress } from "@micro-es/runtime/driver";
import { Redis } from "ioredis";
import { ConnectionLost, NotSent, refusalOf } from "./failure.ts";
import type { RedisTlsOptions } from "./options.ts";
import type { Script } from "./script.ts";

/** An argument of a command. */
export type Argument = string | number | Uint8Array;

/** A reply; bulk and simple strings are bytes. */
export type Reply = Buffer | number | null | readonly Reply[];

/** How a connection is made. */
export interface ConnectionSettings {
  readonly tls: RedisTlsOptions | true | undefined;
  readonly timeoutMs: number;
  /** How long a command may block in addition to `timeoutMs`, in milliseconds. */
  readonly blockMs?: number;
}

/** An idle connection is asked for a sign of life at this interval, in milliseconds. */
const pingMs = 2_000;

/**
 * One connection to one server, which is not restored. The client library would send commands again
 * after a loss, or after they were cancelled; here each command is sent at most once.
 */
export class RedisConnection {
  readonly address: BackendAddress;
  readonly #redis: Redis;
  readonly #limitMs: number;
  readonly #known = new Set<string>();
  readonly #closeListeners = new Set<(reason: Error) => void>();
  #outstanding = 0;
  /** When the oldest command without a reply was sent, or a later reply arrived. */
  #heardAt = 0;
  #idleSince: number = performance.now();
  #reason: Error | undefined;
  #closed = false;
  #watch: NodeJS.Timeout | undefined;

  private constructor(address: BackendAddress, redis: Redis, limitMs: number) {
    this.address = address;
    this.#redis = redis;
    this.#limitMs = limitMs;
  }

  /** @throws Error of the dial. */
  static async open(
    address: BackendAddress,
    { tls, timeoutMs, blockMs = 0 }: ConnectionSettings,
  ): Promise<RedisConnection> {
    const { host, port } = address;
    const redis = new Redis({
      host,
      port,
      ...(tls === undefined ? {} : { tls: tlsOptions(tls, host) }),
      protocol: 2,
      lazyConnect: true,
      connectTimeout: timeoutMs,
      retryStrategy: () => null,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      enableReadyCheck: false,
      disableClientInfo: true,
      maxRetriesPerRequest: 0,
    });
    const connection = new RedisConnection(address, redis, timeoutMs + blockMs);
    let failure: Error | undefined;
    redis.on("error", (error: Error) => {
      failure ??= error;
    });
    redis.on("end", () => connection.#ended(failure));
    try {
      await redis.connect();
    } catch (error) {
      throw failure ?? error;
    }
    connection.#begin();
    return connection;
  }

  get isOpen(): boolean {
    return !this.#closed && this.#redis.status === "ready";
  }

  /** Calls the listener once, when the connection has ended. */
  onClose(listener: (reason: Error) => void): void {
    if (this.#closed) listener(this.#reason ?? new ConnectionLost("the connection is closed"));
    else this.#closeListeners.add(listener);
  }

  /**
   * Sends a command.
   * @throws NotSent, ConnectionLost, or the server's error.
   */
  send(command: string, args: readonly Argument[]): Promise<Reply> {
    if (!this.isOpen) return Promise.reject(new NotSent("there is no connection to Redis"));
    const sent = args.map(sendable);
    const reply = this.#redis.callBuffer(command, ...sent) as Promise<Reply>;
    return this.#settled(reply);
  }

  /** Runs a script; the first time on this connection, it sends its source. */
  async run(script: Script, keys: readonly Argument[], args: readonly Argument[]): Promise<Reply> {
    const rest = [keys.length, ...keys, ...args];
    if (this.#known.has(script.hash)) {
      try {
        return await this.send("EVALSHA", [script.hash, ...rest]);
      } catch (error) {
        // An operator has flushed the scripts; nothing was executed.
        if (refusalOf(error) !== "NOSCRIPT") throw error;
      }
    }
    this.#known.add(script.hash);
    return await this.send("EVAL", [script.source, ...rest]);
  }

  /** Receives what is published on channels from now on. */
  onMessage(listener: (channel: string, message: Buffer) => void): void {
    this.#redis.on("messageBuffer", (channel: Buffer, message: Buffer) =>
      listener(channel.toString(), message),
    );
  }

  subscribe(channel: string): Promise<unknown> {
    if (!this.isOpen) return Promise.reject(new NotSent("there is no connection to Redis"));
    return this.#settled(this.#redis.subscribe(channel));
  }

  unsubscribe(channel: string): Promise<unknown> {
    if (!this.isOpen) return Promise.reject(new NotSent("there is no connection to Redis"));
    return this.#settled(this.#redis.unsubscribe(channel));
  }

  /** Ends the connection; commands without a reply fail. */
  close(reason: Error = new ConnectionLost("the connection was closed")): void {
    if (this.#closed) return;
    this.#reason ??= reason;
    this.#redis.disconnect();
    this.#ended(undefined);
  }

  #begin(): void {
    this.#idleSince = performance.now();
    const everyMs = Math.max(10, Math.min(pingMs, this.#limitMs / 4));
    this.#watch = setInterval(() => this.#look(), everyMs);
    this.#watch.unref();
    // It may have ended before anything listened.
    if (this.#closed) clearInterval(this.#watch);
  }

  #settled<T>(reply: Promise<T>): Promise<T> {
    if (this.#outstanding++ === 0) this.#heardAt = performance.now();
    return reply.then(
      (value) => {
        this.#heard();
        return value;
      },
      (error: Error) => {
        this.#heard();
        if (error.name === "ReplyError") throw error;
        throw this.#reason ?? new ConnectionLost("the connection was lost before the response");
      },
    );
  }

  #heard(): void {
    this.#outstanding--;
    this.#heardAt = performance.now();
    if (this.#outstanding === 0) this.#idleSince = this.#heardAt;
  }

  /** A server that is silent for too long is taken for lost; TCP would notice after minutes. */
  #look(): void {
    const now = performance.now();
    if (this.#outstanding > 0) {
      if (now - this.#heardAt < this.#limitMs) return;
      const limit = Math.round(this.#limitMs);
      this.close(new ConnectionLost(`${this.address.text} did not respond within ${limit} ms`));
    } else if (now - this.#idleSince >= pingMs && this.isOpen) {
      this.#settled(this.#redis.ping()).catch(() => {});
    }
  }

  #ended(failure: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#watch);
    const cause = failure === undefined ? "" : `: ${failure.message}`;
    this.#reason ??= new ConnectionLost(
      `the connection to ${this.address.text} was lost${cause}`,
      failure === undefined ? {} : { cause: failure },
    );
    for (const listener of this.#closeListeners) listener(this.#reason);
    this.#closeListeners.clear();
  }
}

/** The library writes the text of an array of bytes that is not a buffer. */
function sendable(argument: Argument): string | number | Buffer {
  if (!(argument instanceof Uint8Array) || Buffer.isBuffer(argument)) {
    return argument as string | number | Buffer;
  }
  return Buffer.from(argument.buffer, argument.byteOffset, argument.length);
}

function tlsOptions(tls: RedisTlsOptions | true, host: string): ConnectionOptions {
  const servername = isIP(host) === 0 ? { servername: host } : {};
  return { ...servername, ...(tls === true ? {} : tls) };
}
