import type { IncomingMessage, Server, ServerOptions, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { formatAddress, parseAddress } from "../../base/address.ts";
import { type Code, MicroError } from "../../base/error.ts";
import { GrowingBuffer } from "../../base/growing-buffer.ts";
import type { Logger } from "../../base/logger.ts";
import { WebAccess } from "../../base/web-access.ts";
import { resolveLimits } from "../../transport/limits.ts";
import { NativeListener } from "../../transport/native/native-listener.ts";
import { hostAndPort } from "../../transport/socket-address.ts";
import { decodeEnvelope, maxEnvelopeBytes } from "../envelope.ts";
import { EventAdmission } from "./event-admission.ts";
import { maxBatchBytes, upgradeToken } from "./event-batch.ts";
import type { HttpSubscriptions } from "./local-subscriptions.ts";
import { NativeReceiver } from "./native-receiver.ts";

/** Options for a {@link Receiver}. */
export interface ReceiverOptions {
  readonly maxEventBytes: number;
  /** Maximum size of the requests buffered in memory while they are received, in bytes in total. */
  readonly maxReceivingBytes: number;
  readonly maxConnections: number;
  readonly logger: Logger;
  /** Host names that publishers may use, as in {@link WebAccess}. */
  readonly hosts: readonly string[] | undefined;
  /** Whether connections may change to the native protocol. */
  readonly native: boolean;
  /** The subscriptions that receive the events. */
  readonly own: HttpSubscriptions;
}

/** Counters of a receiver. */
export interface ReceiverStats {
  readonly accepted: number;
  /**
   * Events, and requests without one, that were rejected: malformed, too large, not admitted, for
   * an unknown subscription, or no room.
   */
  readonly refused: number;
  /** Connections closed immediately because there were too many. */
  readonly droppedConnections: number;
}

/** Time limit for the head of a request, and for the whole request, in milliseconds. */
const headersTimeoutMs = 10_000;
const requestTimeoutMs = 30_000;
/** Longer than senders keep an idle connection. */
const keepAliveMs = 65_000;

/** Requests contain only a path; this base makes it a URL. */
const base = "http://broker";

const statusOf: Partial<Record<Code, number>> = {
  invalid_argument: 400,
  unauthenticated: 401,
  not_found: 404,
  permission_denied: 403,
  unimplemented: 415,
  resource_exhausted: 413,
  unavailable: 503,
};

/** The HTTP server to which events are posted. */
export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #maxBytes: number;
  readonly #admission: EventAdmission;
  readonly #native: NativeListener;
  #server: Server | undefined = undefined;
  #access: WebAccess | undefined = undefined;
  #receiving = 0;
  #accepted = 0;
  #refused = 0;
  #droppedConnections = 0;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    const { own, maxEventBytes, maxConnections, logger } = options;
    this.#maxBytes = maxEnvelopeBytes(maxEventBytes);
    const counted = (accepted: number, refused: number) => {
      this.#accepted += accepted;
      this.#refused += refused;
    };
    const admission = new EventAdmission(logger);
    this.#admission = admission;
    this.#native = new NativeListener(
      new NativeReceiver({ own, maxEventBytes, logger, admission, counted }),
      resolveLimits({ maxMessageBytes: maxBatchBytes, maxConnections }),
      "http",
      {
        onConnectionError: (error, peer) => {
          this.#refused++;
          logger.debug({ peer, error }, "a connection for events was closed");
        },
      },
    );
  }

  get stats(): ReceiverStats {
    return {
      accepted: this.#accepted,
      refused: this.#refused,
      droppedConnections: this.#droppedConnections,
    };
  }

  /**
   * Starts listening; resolves with the address and its actual port.
   * @throws MicroError `unavailable` when it cannot listen.
   */
  async listen(address: string): Promise<string> {
    const { createServer, STATUS_CODES } = await import("node:http");
    const parsed = parseAddress(address);
    if (parsed.kind !== "host") {
      throw new MicroError(
        "invalid_argument",
        `the HTTP broker listens on host:port, not ${address}`,
      );
    }
    const serverOptions: ServerOptions & UpgradeOptions = {
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: 5_000,
      keepAliveTimeout: keepAliveMs,
      maxHeaderSize: 16 * 1024,
      shouldUpgradeCallback: asksForBatches,
    };
    const server = createServer(serverOptions, (request, response) => {
      this.#serve(request).then(
        () => response.end(),
        (error: unknown) => this.#refuse(response, error, STATUS_CODES),
      );
    });
    if (this.#options.native)
      server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) =>
        this.#upgrade(request, socket, head, STATUS_CODES),
      );
    server.maxConnections = this.#options.maxConnections;
    server.on("drop", () => {
      this.#droppedConnections++;
    });
    this.#server = server;
    return await new Promise<string>((resolve, reject) => {
      server.once("error", (cause) => {
        const message = `the HTTP broker cannot listen on ${address}: ${cause.message}`;
        reject(new MicroError("unavailable", message, { outcome: "not-executed", cause }));
      });
      server.listen(parsed.port, parsed.host, () => {
        server.on("error", (error) => {
          this.#options.logger.error({ address, error }, "the HTTP broker's listener failed");
        });
        const bound = formatAddress({ ...parsed, port: (server.address() as AddressInfo).port });
        this.#access = this.#webAccess(bound);
        this.#native.address = bound;
        resolve(bound);
      });
    });
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
    await this.#native.close(0);
    await closed;
  }

  /** Changes a connection to the native protocol, for a publisher that knows a subscription. */
  #upgrade(
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
    texts: Readonly<Record<number, string | undefined>>,
  ): void {
    if (!asksForBatches(request)) {
      this.#withoutUpgrade(request, socket, head);
      return;
    }
    socket.on("error", () => undefined);
    try {
      this.#checkAccess(request);
      if (request.method !== "GET") throw new Refusal(405, "A connection is upgraded by GET");
      if (!this.#options.own.has(this.#idOf(request))) throw nobodyHere();
    } catch (error) {
      const code = statusFor(error);
      const body = this.#refusal(error, code, texts);
      socket.end(
        `HTTP/1.1 ${code} ${texts[code]}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
        () => socket.destroy(),
      );
      return;
    }
    // The HTTP server keeps connections open that the other side has ended.
    socket.allowHalfOpen = false;
    socket.setTimeout(0);
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${upgradeToken}\r\n\r\n`,
    );
    if (head.length > 0) socket.unshift(head);
    const { remoteAddress = "", remotePort = 0 } = socket;
    this.#native.accept(socket, hostAndPort(remoteAddress, remotePort));
  }

  /**
   * Serves a request that asks for another protocol as any other request. Some HTTP clients ask for
   * HTTP/2 with each of their requests, and Node before version 24.9 gives the connection away with
   * it.
   */
  #withoutUpgrade(
    { method, url, rawHeaders }: IncomingMessage,
    socket: Socket,
    head: Buffer,
  ): void {
    const lines = [`${method} ${url} HTTP/1.1`];
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const name = rawHeaders[index] ?? "";
      if (/^(connection|upgrade|http2-settings)$/i.test(name)) continue;
      lines.push(`${name}: ${rawHeaders[index + 1]}`);
    }
    socket.unshift(Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), head]));
    this.#server?.emit("connection", socket);
  }

  #checkAccess({ headers }: IncomingMessage): void {
    const { host, origin, "sec-fetch-site": fetchSite } = headers;
    const refusal = this.#access?.refusal({ host, origin, fetchSite: fetchSite?.toString() });
    if (refusal !== undefined) throw refusal;
  }

  /** The id of the subscription that a request is for. @throws Refusal for another target. */
  #idOf(request: IncomingMessage): string {
    const target = request.url ?? "";
    const url = URL.canParse(target, base) ? new URL(target, base) : undefined;
    if (url?.pathname !== "/") throw new Refusal(404, `There is nothing at ${target.slice(0, 64)}`);
    return url.searchParams.get("id") ?? "";
  }

  async #serve(request: IncomingMessage): Promise<void> {
    this.#checkAccess(request);
    if (request.method !== "POST") throw new Refusal(405, "Only POST is taken here");
    const id = this.#idOf(request);
    // Browsers send other content types across origins without a preflight, so this keeps web pages
    // out.
    if (!/^application\/json\b/i.test(request.headers["content-type"] ?? "")) {
      throw new Refusal(415, "An event is posted as application/json");
    }
    // Checked before the body is read, so that only publishers that know a subscription can make
    // this process read one.
    if (!this.#options.own.has(id)) throw nobodyHere();
    const { record, skipped } = decodeEnvelope(
      await this.#read(request),
      this.#options.maxEventBytes,
    );
    if (skipped.length > 0) {
      this.#options.logger.debug(
        { event: record.id, topic: record.topic, headers: skipped },
        "headers that are not visible ASCII were left out of an event's metadata",
      );
    }
    const found = this.#options.own.open(id, record.topic);
    if (found === undefined) throw nobodyHere();
    const refusal = await this.#admission.refusal(found, record, request.socket);
    if (refusal?.code === "resource_exhausted") throw new Refusal(429, refusal.message);
    if (refusal !== undefined) throw refusal;
    const acceptance = this.#options.own.accept(id, record);
    if (acceptance === "gone") throw nobodyHere();
    if (acceptance === "full") throw new Refusal(503, "Too many events wait for this subscriber");
    this.#accepted++;
  }

  #webAccess(address: string): WebAccess {
    const { logger, hosts } = this.#options;
    return new WebAccess({
      address,
      hosts,
      onRefusedHost: (host) =>
        logger.warn(
          { address, host },
          "refused events for a host that is not one of this broker; allow it by MICRO_HOSTS or the option hosts",
        ),
      onRefusedOrigin: (origin) =>
        logger.warn(
          { address, origin },
          "refused events from a web page; publish them by a service",
        ),
    });
  }

  #read(request: IncomingMessage): Promise<Buffer> {
    const { maxReceivingBytes } = this.#options;
    const body = new GrowingBuffer();
    let reserved = 0;
    const reserve = (bytes: number): Refusal | undefined => {
      if (bytes > this.#maxBytes) return this.#tooLarge(bytes);
      if (bytes <= reserved) return undefined;
      if (this.#receiving + bytes - reserved > maxReceivingBytes) {
        return new Refusal(503, "Too many events come in at once");
      }
      this.#receiving += bytes - reserved;
      reserved = bytes;
      return undefined;
    };
    const refusal = reserve(Number(request.headers["content-length"] ?? 0));
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise<Buffer>((resolve, reject) => {
      const onData = (chunk: Buffer) => {
        const over = reserve(body.length + chunk.length);
        if (over !== undefined) return fail(over);
        body.append(chunk);
        return undefined;
      };
      const fail = (error: Error) => {
        request.off("data", onData);
        this.#receiving -= reserved;
        reserved = 0;
        body.take();
        reject(error);
      };
      request.on("data", onData);
      request.once("end", () => {
        this.#receiving -= reserved;
        reserved = 0;
        resolve(body.take());
      });
      request.once("error", fail);
      request.once("close", () => fail(new Refusal(400, "The request broke off")));
    });
  }

  #tooLarge(bytes: number): Refusal {
    const limit = this.#options.maxEventBytes;
    return new Refusal(413, `A request of ${bytes} bytes is over what an event of ${limit} needs`);
  }

  /** Responds in the error format of go-micro, so that a Go peer can read it. */
  #refuse(
    response: ServerResponse,
    error: unknown,
    texts: Readonly<Record<number, string | undefined>>,
  ): void {
    const code = statusFor(error);
    const body = this.#refusal(error, code, texts);
    if (response.destroyed || response.headersSent) return;
    if (code === 405) response.setHeader("Allow", "POST");
    // The rest of the request is not read, so the connection cannot be reused.
    if (!response.req.complete) response.setHeader("Connection", "close");
    response.writeHead(code, { "Content-Type": "application/json" });
    response.end(body);
  }

  /** Counts and logs a refusal, and returns the body of the response. */
  #refusal(
    error: unknown,
    code: number,
    texts: Readonly<Record<number, string | undefined>>,
  ): string {
    this.#refused++;
    const detail = error instanceof MicroError || error instanceof Refusal ? error.message : "";
    if (code === 500) this.#options.logger.error({ error }, "an event could not be taken");
    else this.#options.logger.debug({ status: code, detail }, "an event was refused");
    return JSON.stringify({ id: "go.micro.broker", code, detail, status: texts[code] ?? "" });
  }
}

/** An option of Node since version 24.9. */
interface UpgradeOptions {
  /** Whether a request gets its connection; otherwise it is served as any other request. */
  readonly shouldUpgradeCallback: (request: IncomingMessage) => boolean;
}

function asksForBatches({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === upgradeToken;
}

/** A response with a status other than 200. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function nobodyHere(): Refusal {
  return new Refusal(404, "No subscription here has this id and topic");
}

function statusFor(error: unknown): number {
  if (error instanceof Refusal) return error.status;
  return (error instanceof MicroError && statusOf[error.code]) || 500;
}
