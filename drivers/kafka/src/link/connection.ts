import { isIP } from "node:net";
import type { ConnectionOptions as TlsSettings } from "node:tls";
import type { BackendAddress } from "@micro-es/runtime/driver";
import {
  type API,
  Connection,
  type ConnectionOptions,
  ResponseError,
  type SASLMechanismValue,
} from "@platformatic/kafka";
import { ConnectionLost, NotSent } from "./failure.ts";
import type { KafkaOptions, KafkaTlsOptions } from "./options.ts";

/** How a connection is made. */
export interface ConnectionSettings
  extends Pick<KafkaOptions, "user" | "password" | "mechanism" | "tls"> {
  readonly timeoutMs: number;
  /** How long the broker may hold a request back in addition, in milliseconds. */
  readonly heldMs?: number;
}

/** Requests that may wait for responses on one connection. */
const maxOutstanding = 1_000;

/** One connection to one broker, which is not restored. A request is sent at most once. */
export class KafkaConnection {
  readonly address: BackendAddress;
  readonly #connection: Connection;
  readonly #closeListeners = new Set<(reason: Error) => void>();
  #reason: Error | undefined;
  #closed = false;

  private constructor(address: BackendAddress, connection: Connection) {
    this.address = address;
    this.#connection = connection;
  }

  /** @throws NotSent for a broker that cannot be reached, or that refuses user and password. */
  static async open(
    address: BackendAddress,
    settings: ConnectionSettings,
  ): Promise<KafkaConnection> {
    const connection = new Connection("micro-es", libraryOptions(address, settings));
    const opened = new KafkaConnection(address, connection);
    connection.on("error", (error: Error) => {
      opened.#reason ??= error;
    });
    connection.on("close", () => opened.#ended());
    try {
      await connection.connect(address.host, address.port);
    } catch (error) {
      connection.socket?.destroy();
      const why = rootOf(opened.#reason ?? error);
      throw new NotSent(`${address.text}: ${why.message}`, { cause: error });
    }
    return opened;
  }

  get isOpen(): boolean {
    return !this.#closed;
  }

  /** Calls the listener once, when the connection has ended. */
  onClose(listener: (reason: Error) => void): void {
    if (this.#closed) listener(this.#lost());
    else this.#closeListeners.add(listener);
  }

  /**
   * Sends a request. A response with errors is returned as any other, because they are often those
   * of a part of it; see `checkCode`.
   * @throws NotSent, ConnectionLost, or the client library's error for a malformed response.
   */
  async ask<Args extends unknown[], Response>(
    api: API<Args, Response>,
    ...args: Args
  ): Promise<Response> {
    if (this.#closed) throw new NotSent("there is no connection to Kafka");
    try {
      return await api.async(this.#connection, ...args);
    } catch (error) {
      const response = error instanceof ResponseError ? responseIn(error) : undefined;
      if (response !== undefined) return response as Response;
      // After a timeout or a malformed response, the library cannot find the next one.
      this.close(error as Error);
      throw this.#lost();
    }
  }

  close(reason?: Error): void {
    this.#reason ??= reason;
    this.#connection.socket?.destroy();
    this.#ended();
  }

  #lost(): ConnectionLost {
    const { message } = rootOf(this.#reason ?? new Error("the connection is closed"));
    return new ConnectionLost(`${this.address.text}: ${message}`, { cause: this.#reason });
  }

  #ended(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const listener of this.#closeListeners) listener(this.#lost());
    this.#closeListeners.clear();
  }
}

function libraryOptions(
  { host }: BackendAddress,
  { user, password, mechanism = "scram-sha-512", tls, timeoutMs, heldMs = 0 }: ConnectionSettings,
): ConnectionOptions {
  return {
    connectTimeout: timeoutMs,
    requestTimeout: timeoutMs + heldMs,
    maxInflights: maxOutstanding,
    ...(tls === undefined ? {} : { tls: tlsSettings(tls, host) }),
    ...(user === undefined || password === undefined
      ? {}
      : {
          sasl: {
            mechanism: mechanism.toUpperCase() as SASLMechanismValue,
            username: user,
            password,
          },
        }),
  };
}

function tlsSettings(tls: KafkaTlsOptions | true, host: string): TlsSettings {
  const name = isIP(host) === 0 ? { servername: host } : {};
  return tls === true ? name : { ...tls, ...name };
}

function responseIn(error: Error): unknown {
  return (error as Error & { readonly response?: unknown }).response;
}

/** The innermost cause, which says what happened. */
function rootOf(error: unknown): Error {
  let root = error as Error & { readonly errors?: readonly Error[] };
  for (let depth = 0; depth < 8; depth++) {
    const inner = root.cause ?? root.errors?.[0];
    if (!(inner instanceof Error)) break;
    root = inner;
  }
  return root;
}
