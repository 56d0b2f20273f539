import type { Agent, ClientRequest, IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { throwIfAborted } from "../../base/abort.ts";
import { unwatchAbort, watchAbort } from "../../base/abort-watch.ts";
import { formatAddress } from "../../base/address.ts";
import { lookupAllowed } from "../../base/dialable-address.ts";
import { MicroError } from "../../base/error.ts";
import { abortedPublication } from "../event.ts";
import type { AllowAddress } from "./allowed-addresses.ts";
import type { Target } from "./subscriber-node.ts";

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
   * Resolves with the status of the response.
   * @throws MicroError `unavailable` when there is no response, with what is known of the outcome;
   * `canceled` by the signal; `permission_denied` for an address that events may not be sent to.
   */
  async post(target: Target, envelope: Buffer, signal: AbortSignal | undefined): Promise<number> {
    const { allowAddress } = this.#options;
    if (isIP(target.host.split("%")[0] ?? "") !== 0 && !allowAddress(target.host, target.port)) {
      throw notAllowed(target);
    }
    this.#loading ??= load();
    const http = await this.#loading;
    throwIfAborted(signal);
    if (this.#closed) throw unreachable(target, "the broker is closed");
    try {
      return await this.#attempt(http, target, envelope, signal);
    } catch (error) {
      // A kept-alive connection that the peer had closed says nothing about the subscriber's
      // health.
      if (!(error instanceof StaleConnection)) throw error;
      return await this.#attempt(http, target, envelope, signal);
    }
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

  #attempt(
    http: Http,
    target: Target,
    envelope: Buffer,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    return new Promise<number>((resolve, reject) => {
      const { allowAddress, timeoutMs } = this.#options;
      const request: ClientRequest = http.request({
        agent: http.agent,
        host: target.host,
        port: target.port,
        method: "POST",
        path: `/?id=${encodeURIComponent(target.id)}`,
        headers: {
          "Content-Type": "application/json",
          "Content-Length": envelope.length,
          "User-Agent": "micro-es",
        },
        lookup: lookupAllowed(
          (address) => allowAddress(address, target.port),
          () => notAllowed(target),
        ),
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
      const timer = setTimeout(() => {
        request.destroy(unreachable(target, `no response within ${timeoutMs} ms`));
      }, timeoutMs);
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
        } else reject(unreachable(target, error.message, error));
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

function name(target: Target): string {
  return `subscriber ${target.id} at ${formatAddress({ kind: "host", ...target })}`;
}

function unreachable(target: Target, why: string, cause?: NodeJS.ErrnoException): MicroError {
  const outcome =
    cause?.code !== undefined && notConnected.has(cause.code) ? "not-executed" : "unknown";
  return new MicroError("unavailable", `cannot send an event to ${name(target)}: ${why}`, {
    outcome,
    cause,
  });
}

function notAllowed(target: Target): MicroError {
  return new MicroError(
    "permission_denied",
    `events may not go to ${name(target)}; allow it with allowAddress if it is meant`,
    { outcome: "not-executed" },
  );
}
