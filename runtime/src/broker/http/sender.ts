import { type LookupAddress, lookup } from "node:dns";
import type { Agent, ClientRequest, IncomingMessage } from "node:http";
import { isIP, type LookupFunction } from "node:net";
import { unwatchAbort, watchAbort } from "../../abort-watch.ts";
import { formatAddress } from "../../address.ts";
import { asMicroError, MicroError } from "../../error.ts";
import type { AllowAddress } from "./reach.ts";
import type { Target } from "./record.ts";

/** What a {@link Sender} is made with. */
export interface SenderOptions {
  readonly allowAddress: AllowAddress;
  /** Time that one subscriber has to take an event, in milliseconds. */
  readonly timeoutMs: number;
}

/** Connections to one subscriber, and to all of them together. */
const maxSocketsPerHost = 8;
const maxSockets = 256;
/** Shorter than a receiver keeps an idle connection, so that none is used as it is being closed. */
const idleMs = 30_000;
/** Of an answer nothing but its status is used; more than this of it is not read. */
const maxAnswerBytes = 64 * 1024;

/** Refusals that say the connection was never there, so that the event certainly did not arrive. */
const notConnected = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
]);

/** How a kept connection fails that the other side had closed. */
const stale = new Set(["ECONNRESET", "EPIPE"]);

/** Posts envelopes to subscribers, over connections that it keeps. */
export class Sender {
  readonly #options: SenderOptions;
  readonly #active = new Set<ClientRequest>();
  #closed = false;
  #loading: Promise<Http> | undefined = undefined;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /**
   * Resolves with the status of the answer.
   * @throws MicroError `unavailable` when there is none, with what is known of the outcome; `canceled` by the
   * signal; `permission_denied` for an address that events may not go to.
   */
  async post(target: Target, envelope: Buffer, signal: AbortSignal | undefined): Promise<number> {
    const { allowAddress } = this.#options;
    if (isIP(target.host.split("%")[0] ?? "") !== 0 && !allowAddress(target.host, target.port)) {
      throw notAllowed(target);
    }
    this.#loading ??= load();
    const http = await this.#loading;
    if (signal?.aborted === true) throw asMicroError(signal.reason, "canceled");
    if (this.#closed) throw unreachable(target, "the broker is closed");
    try {
      return await this.#attempt(http, target, envelope, signal);
    } catch (error) {
      // A kept connection that the other side had closed says nothing about the subscriber.
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
        lookup: lookupAllowed(target, allowAddress),
      });
      const call = {
        aborted: (reason: unknown) => request.destroy(asMicroError(reason, "canceled")),
      };
      const timer = setTimeout(() => {
        request.destroy(unreachable(target, `no answer within ${timeoutMs} ms`));
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

/** Loaded when it is first needed, because a process that never publishes starts faster without it. */
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
    if (bytes > maxAnswerBytes) response.destroy();
  });
  // The status has been taken by then, and a connection that breaks is the agent's to replace.
  response.on("error", () => {});
}

/** Resolves a name, and refuses it when one of its addresses may not be sent to. */
function lookupAllowed(target: Target, allowAddress: AllowAddress): LookupFunction {
  return (name, options, callback) => {
    lookup(name, { ...options, all: true }, (error, found: LookupAddress[]) => {
      const addresses = found ?? [];
      if (error !== null) return callback(error, "");
      if (!addresses.every(({ address }) => allowAddress(address, target.port))) {
        return callback(notAllowed(target) as NodeJS.ErrnoException, "");
      }
      if (options.all === true) return callback(null, addresses);
      return callback(null, addresses[0]?.address ?? "", addresses[0]?.family);
    });
  };
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
