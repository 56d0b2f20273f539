import { Buffer } from "node:buffer";
import { Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps, Agent as TlsAgent } from "node:https";
import type { Socket } from "node:net";
import { asMicroError, MicroError } from "@micro-es/runtime";
import { abortError, listenForAbort, throwIfAborted } from "@micro-es/runtime/driver";
import type { AgentAddress, ConsulTlsOptions } from "./options.ts";

export interface HttpRequest {
  readonly method: "GET" | "PUT";
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** Counted from when it is sent. */
  readonly timeoutMs: number;
  readonly signals: readonly (AbortSignal | undefined)[];
  /** Whether it may be sent again when a connection that was idle turns out to be closed. */
  readonly mayRepeat: boolean;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

/** Consul cuts off a client with more than 200 connections. */
const maxSockets = 16;
/** Connections for blocking queries, which last for long. */
export const maxWaits = 64;
/** The largest response that is read, in bytes. */
const maxResponseBytes = 64 * 1024 * 1024;

/** Sends requests to one agent, on connections that stay open. */
export class HttpClient {
  readonly #address: AgentAddress;
  readonly #requests: Agent;
  readonly #waits: Agent;
  /** Connections that were established. */
  readonly #established = new WeakSet<Socket>();

  constructor(address: AgentAddress, tls: ConsulTlsOptions | true | undefined) {
    this.#address = address;
    const options = tls === undefined || tls === true ? {} : { ...tls };
    const make = (most: number): Agent => {
      const pool = { keepAlive: true, maxSockets: most };
      return address.isEncrypted ? new TlsAgent({ ...pool, ...options }) : new Agent(pool);
    };
    this.#requests = make(maxSockets);
    this.#waits = make(maxWaits);
  }

  /** @throws MicroError `unavailable`, `deadline_exceeded`, or the error of a signal. */
  async send(request: HttpRequest, isWait: boolean): Promise<HttpResponse> {
    const pool = isWait ? this.#waits : this.#requests;
    try {
      return await this.#exchange(request, pool);
    } catch (error) {
      if (!(error instanceof IdleConnectionClosed)) throw error;
      if (!request.mayRepeat) throw lostFailure(this.#address, error.cause, true);
      try {
        return await this.#exchange(request, pool);
      } catch (second) {
        // The first may have been executed, if the agent ended while it responded.
        const { code, message } = asMicroError(second);
        throw new MicroError(code, message, { outcome: "unknown", cause: second });
      }
    }
  }

  close(): void {
    this.#requests.destroy();
    this.#waits.destroy();
  }

  async #exchange(request: HttpRequest, agent: Agent): Promise<HttpResponse> {
    const address = this.#address;
    const { host, port, isEncrypted } = address;
    const { method, path, headers, body } = request;
    for (const signal of request.signals) throwIfAborted(signal);
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      let wasConnected = false;
      let wasIdle = false;
      let sending: ClientRequest | undefined;
      const settle = (error: unknown, response?: HttpResponse) => {
        clearTimeout(timer);
        stopListening();
        if (response === undefined) {
          reject(error);
          sending?.destroy();
        } else {
          resolve(response);
        }
      };
      const stopListening = listenForAbort(request.signals, (reason) => {
        settle(wasConnected ? abortedInFlight(reason, method) : abortError(reason));
      });
      const bytes = body === undefined ? undefined : Buffer.from(body);
      const length = bytes === undefined ? {} : { "content-length": String(bytes.length) };
      const options = { host, port, method, path, agent, headers: { ...headers, ...length } };
      sending = isEncrypted ? requestHttps(options) : requestHttp(options);
      const sent = sending;
      sent.on("socket", (socket: Socket) => {
        wasIdle = this.#established.has(socket);
        wasConnected = wasIdle;
        if (!wasIdle) {
          socket.once(isEncrypted ? "secureConnect" : "connect", () => {
            wasConnected = true;
            this.#established.add(socket);
          });
        }
        timer = setTimeout(() => {
          settle(timedOut(address, request.timeoutMs, wasConnected));
        }, request.timeoutMs);
        timer.unref();
      });
      sent.on("error", (error) => {
        const { code } = error as NodeJS.ErrnoException;
        const isClosed = wasIdle && (code === "ECONNRESET" || code === "EPIPE");
        settle(
          isClosed ? new IdleConnectionClosed(error) : lostFailure(address, error, wasConnected),
        );
      });
      sent.on("response", (incoming) => {
        readBody(incoming, address).then((text) => {
          const { statusCode = 0, headers } = incoming;
          settle(undefined, { status: statusCode, headers, text });
        }, settle);
      });
      sent.end(bytes);
    });
  }
}

/** The agent closed a connection that had been idle, most likely before it saw the request. */
class IdleConnectionClosed extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}

async function readBody(incoming: IncomingMessage, address: AgentAddress): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxResponseBytes) {
        throw new MicroError(
          "resource_exhausted",
          `the response of ${address.url} is over ${maxResponseBytes} bytes`,
        );
      }
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof MicroError ? error : lostFailure(address, error, true);
  }
  return Buffer.concat(chunks).toString();
}

function lostFailure({ url }: AgentAddress, error: unknown, wasConnected: boolean): MicroError {
  const { message, code } = error as NodeJS.ErrnoException;
  const why = message === "" ? code : message;
  const lost = wasConnected ? `the connection to ${url} was lost` : `cannot connect to ${url}`;
  return new MicroError("unavailable", `${lost}: ${why}`, {
    outcome: wasConnected ? "unknown" : "not-executed",
    cause: error,
  });
}

/** The error of a request that may have arrived before its signal fired. */
function abortedInFlight(reason: unknown, method: string): MicroError {
  const error = abortError(reason);
  // A read changes nothing.
  if (method === "GET" || error.outcome === "unknown") return error;
  return new MicroError(error.code, error.message, { outcome: "unknown", cause: error });
}

function timedOut({ url }: AgentAddress, ms: number, wasConnected: boolean): MicroError {
  const did = wasConnected ? "respond" : "accept a connection";
  return new MicroError("deadline_exceeded", `${url} did not ${did} within ${ms} ms`, {
    outcome: wasConnected ? "unknown" : "not-executed",
  });
}
