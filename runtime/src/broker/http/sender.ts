import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import type { Socket } from "node:net";
import { throwIfAborted } from "../../base/abort.ts";
import { unwatchAbort, watchAbort } from "../../base/abort-watch.ts";
import { type Deadline, deadlineAfter, remainingMs } from "../../base/deadline.ts";
import { lookupAllowed } from "../../base/dialable-address.ts";
import { MicroError } from "../../base/error.ts";
import { abortedPublication } from "../event.ts";
import type { AllowAddress } from "./allowed-addresses.ts";
import { upgradeToken } from "./event-batch.ts";
import { checkAllowed, notAllowed, type Target, unreachable } from "./subscriber-node.ts";

/** Options for a {@link Sender}. */
export interface SenderOptions {
  readonly allowAddress: AllowAddress;
  /** Time limit for one subscriber to accept an event, in milliseconds. */
  readonly timeoutMs: number;
}

/** Maximum number of connections to one subscriber, and in total. */
const maxSocketsPerHost = 8;
const maxSockets = 256;
/**
 * Shorter than a receiver keeps an idle connection, so that a connection is not used while it is
 * being closed.
 */
const idleMs = 30_000;
/** Only the status of a response is used; at most this much of its body is read. */
const maxResponseBytes = 64 * 1024;

/** Errors that prove no connection was established, so the event certainly did not arrive. */
const notConnected = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
]);

/** Errors of a kept-alive connection that the peer had already closed. */
const stale = new Set(["ECONNRESET", "EPIPE"]);

/** Posts envelopes to subscribers over persistent connections. */
export class Sender {
  readonly #options: SenderOptions;
  readonly #active = new Set<ClientRequest>();
  #closed = false;
  #loading: Promise<Http> | undefined = undefined;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /**
   * Resolves with the status of the response, which must arrive `until` then if that is earlier
   * than the time limit.
   * @throws MicroError `unavailable` when there is no response, with what is known of the outcome;
   * `canceled` by the signal; `permission_denied` for an address that events may not be sent to.
   */
  async post(
    target: Target,
    envelope: Buffer,
    signal: AbortSignal | undefined,
    until: Deadline = Number.POSITIVE_INFINITY,
  ): Promise<number> {
    const http = await this.#load(target);
    throwIfAborted(signal);
    const dueAt = Math.min(until, deadlineAfter(this.#options.timeoutMs));
    try {
      return await this.#attempt(http, target, envelope, signal, dueAt);
    } catch (error) {
      // A kept-alive connection that the peer had closed says nothing about the subscriber's
      // health.
      if (!(error instanceof StaleConnection)) throw error;
    }
    try {
      return await this.#attempt(http, target, envelope, signal, dueAt);
    } catch (error) {
      throw mayHaveArrived(error);
    }
  }

  /**
   * Asks the subscriber's process to change to the native protocol on a connection of its own.
   * Resolves with that connection and what was read from it, or with the status of the response if
   * the process does not.
   * @throws MicroError `unavailable` when there is no response; `permission_denied` for an address
   * that events may not be sent to.
   */
  async upgrade(target: Target): Promise<Upgraded | number> {
    const http = await this.#load(target);
    return await new Promise((resolve, reject) => {
      const { timeoutMs } = this.#options;
      const request = http.request({
        ...this.#request(target),
        agent: false,
        method: "GET",
        headers: {
          Connection: "Upgrade",
          Upgrade: upgradeToken,
          "User-Agent": "micro-es",
        },
      });
      const timer = setTimeout(() => {
        request.destroy(noResponse(target, `no response within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#active.add(request);
      const end = () => {
        clearTimeout(timer);
        this.#active.delete(request);
      };
      request.on("close", end);
      request.on("error", (error: NodeJS.ErrnoException) => {
        reject(error instanceof MicroError ? error : noResponse(target, error.message, error));
      });
      request.on("response", (response) => {
        drain(response);
        resolve(response.statusCode ?? 0);
      });
      request.on("upgrade", (_response, socket, head) => {
        end();
        resolve({ socket: socket as Socket, head });
      });
      request.end();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const http = await this.#loading;
    for (const request of this.#active) {
      request.destroy(
        new MicroError("unavailable", "the broker was closed while it sent an event"),
      );
    }
    http?.agent.destroy();
  }

  async #load(target: Target): Promise<Http> {
    checkAllowed(target, this.#options.allowAddress);
    this.#loading ??= load();
    const http = await this.#loading;
    if (this.#closed) throw noResponse(target, "the broker is closed");
    return http;
  }

  /** The options of a request that are the same for all. */
  #request(target: Target): RequestOptions {
    const { allowAddress } = this.#options;
    return {
      host: target.host,
      port: target.port,
      path: `/?id=${encodeURIComponent(target.id)}`,
      lookup: lookupAllowed(
        (address) => allowAddress(address, target.port),
        () => notAllowed(target),
      ),
    };
  }

  #attempt(
    http: Http,
    target: Target,
    envelope: Buffer,
    signal: AbortSignal | undefined,
    dueAt: Deadline,
  ): Promise<number> {
    return new Promise<number>((resolve, reject) => {
      const { timeoutMs } = this.#options;
      const request: ClientRequest = http.request({
        ...this.#request(target),
        agent: http.agent,
        method: "POST",
        headers: {
          "Content-Type": "application/json",
          "Content-Length": envelope.length,
          "User-Agent": "micro-es",
        },
      });
      const call = {
        aborted: (reason: unknown) => {
          const error = abortedPublication(reason, true);
          // Reject first: a response that has arrived but was not read yet would otherwise precede
          // the error of the request.
          reject(error);
          request.destroy(error);
        },
      };
      const timer = setTimeout(
        () => {
          request.destroy(noResponse(target, `no response within ${timeoutMs} ms`));
        },
        Math.max(0, remainingMs(dueAt)),
      );
      this.#active.add(request);
      request.on("close", () => {
        clearTimeout(timer);
        this.#active.delete(request);
        if (signal !== undefined) unwatchAbort(signal, call);
      });
      request.on("error", (error: NodeJS.ErrnoException) => {
        if (error instanceof MicroError) reject(error);
        else if (request.reusedSocket && stale.has(error.code ?? "")) {
          reject(new StaleConnection(error.message));
        } else reject(noResponse(target, error.message, error));
      });
      request.on("response", (response) => {
        drain(response);
        resolve(response.statusCode ?? 0);
      });
      if (signal !== undefined) watchAbort(signal, call);
      request.end(envelope);
    });
  }
}

/** A connection that has changed to the native protocol. */
export interface Upgraded {
  readonly socket: Socket;
  /** Bytes of the native protocol that were read already. */
  readonly head: Buffer;
}

interface Http {
  readonly agent: Agent;
  readonly request: typeof import("node:http").request;
}

/**
 * Loads the module on first use, because a process that never publishes starts faster without it.
 */
async function load(): Promise<Http> {
  const { Agent: HttpAgent, request } = await import("node:http");
  const agent = new HttpAgent({
    keepAlive: true,
    maxSockets: maxSocketsPerHost,
    maxFreeSockets: maxSocketsPerHost,
    maxTotalSockets: maxSockets,
    timeout: idleMs,
  });
  return { agent, request };
}

class StaleConnection extends Error {}

function drain(response: IncomingMessage): void {
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxResponseBytes) response.destroy();
  });
  // The status has been read by then, and the agent replaces a broken connection.
  response.on("error", () => {});
}

function noResponse(target: Target, why: string, cause?: NodeJS.ErrnoException): MicroError {
  const outcome =
    cause?.code !== undefined && notConnected.has(cause.code) ? "not-executed" : "unknown";
  return unreachable(target, why, outcome, cause);
}

/** Returns the error of an event that was sent before, which may have arrived then. */
function mayHaveArrived(error: unknown): unknown {
  if (!(error instanceof MicroError) || error.outcome !== "not-executed") return error;
  return new MicroError(error.code, error.message, { outcome: "unknown", cause: error });
}
