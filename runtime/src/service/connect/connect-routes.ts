import { type ConnectRouter, createConnectRouter, createContextValues } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import { deadlineAfter, hasPassed } from "../../base/deadline.ts";
import type { MicroError } from "../../base/error.ts";
import { deadlineExceeded } from "../../call/call.ts";
import { callerGone } from "../../transport/call-errors.ts";
import { defaultInflationRatio } from "../../transport/http/compression/inflation.ts";
import { getCall } from "../../transport/http/connect/connect-get.ts";
import type {
  HttpConnection,
  MountedHandler,
  MountedRoutes,
  MountingListener,
} from "../../transport/http/mounted-routes.ts";
import type { HttpRequest, HttpResponse } from "../../transport/http/request.ts";
import { outcomeKey } from "../../transport/http-headers.ts";
import { CallCompression } from "./call-compression.ts";
import { never } from "./compressed-body.ts";
import { connectCompressions } from "./connect-compressions.ts";
import { IncompleteMessage } from "./incomplete-message.ts";
import { JoinedPieces, joinPieces } from "./joined-pieces.ts";
import { lowerCodings } from "./lower-codings.ts";
import { type BodyRules, receiveBody } from "./received-body.ts";
import { ResponseWriter } from "./response-writer.ts";

/**
 * Services of a Connect router that a listener serves in addition to the registered handlers.
 *
 * @example
 * ```ts
 * import { createService, tcpTransport } from "@micro-es/runtime";
 * import { connectRoutes } from "@micro-es/runtime/connect";
 * import { Greeter } from "./gen/greeter/v1/greeter_pb.js";
 *
 * const routes = connectRoutes((router) =>
 *   router.service(Greeter, { hello: ({ name }) => ({ message: `Hello ${name}` }) }),
 * );
 * const service = createService({
 *   name: "greeter",
 *   transports: [tcpTransport({ http: { routes } })],
 * });
 * ```
 */
export function connectRoutes(routes: (router: ConnectRouter) => void): MountedRoutes {
  return { mount: (listener) => new MountedRouter(routes, listener) };
}

/** Serves the requests of a Connect router, within the limits of a listener. */
class MountedRouter implements MountedHandler {
  readonly #handlers: ReadonlyMap<string, UniversalHandler>;
  readonly #listener: MountingListener;

  constructor(routes: (router: ConnectRouter) => void, listener: MountingListener) {
    const { limits, options, shutdown } = listener;
    const { connect = true, grpc = true, grpcWeb = true } = options;
    this.#listener = listener;
    const router = createConnectRouter({
      connect,
      grpc,
      grpcWeb,
      acceptCompression: [...connectCompressions],
      // Responses are compressed like those of the other methods.
      compressMinBytes: never,
      readMaxBytes: limits.maxMessageBytes,
      shutdownSignal: shutdown,
    });
    routes(router);
    this.#handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  }

  has(path: string): boolean {
    return this.#handlers.has(path);
  }

  async respond(
    request: HttpRequest,
    response: HttpResponse,
    connection: HttpConnection,
  ): Promise<void> {
    const [path = ""] = request.url?.split("?", 1) ?? [];
    const handler = this.#handlers.get(path)!;
    const problem = request.method === "GET" ? getCall(request.url ?? "")?.problem : undefined;
    if (problem !== undefined) {
      response.setHeader(outcomeKey, "not-executed");
      response.writeHead(400, { "content-type": "application/json" });
      response.end(JSON.stringify({ code: "invalid_argument", message: problem }));
      return;
    }
    const { compressMinBytes = 1_024 } = this.#listener.options;
    const compression = new CallCompression(compressMinBytes, handler.method.output);
    const body = this.#body(request, response, connection);
    const universal = universalRequestFromNodeRequest(
      withHost(request),
      response,
      undefined,
      createContextValues(),
    );
    const { header } = universal;
    limitTimeouts(header);
    lowerCodings(header);
    compression.accept(header);
    const received = receiveBody(body, header, {
      ...this.#bodyLimits,
      schema: handler.method.input,
      over: requestEnding(header, response),
    });
    // Connect would allocate the announced length before the bytes have arrived; joined pieces do
    // not need it.
    if (body instanceof JoinedPieces) received.header.delete("content-length");
    // Connect refuses bidirectional streams over HTTP/1.1, which can respond after a request and,
    // here, even during one.
    const handled = await handler({ ...universal, ...received, httpVersion: "2.0" });
    await new ResponseWriter(response, connection.untaken).write(
      await compression.compress(handled),
      () => [],
    );
  }

  get #bodyLimits(): Pick<BodyRules, "maxBytes" | "maxInflationRatio" | "maxElements"> {
    const { limits, options } = this.#listener;
    return {
      maxBytes: this.#maxBytes,
      maxInflationRatio: options.maxInflationRatio ?? defaultInflationRatio,
      maxElements: limits.maxMessageElements,
    };
  }

  get #maxBytes(): number {
    const { limits, options } = this.#listener;
    return Math.min(limits.maxMessageBytes, options.maxRequestBytes ?? limits.maxMessageBytes);
  }

  /**
   * Returns the body of a request, whose messages must be complete in time and find room until
   * then.
   */
  #body(
    request: HttpRequest,
    response: HttpResponse,
    { incomplete }: HttpConnection,
  ): AsyncIterable<Uint8Array> {
    const { keepaliveIntervalMs, keepaliveTimeoutMs } = this.#listener.limits;
    // Node destroys an HTTP/1.1 connection when its request is not read to the end.
    const pieces = "stream" in request ? request : request.iterator({ destroyOnReturn: false });
    // Connect refuses a request that announces that it is too large.
    if (Number(request.headers["content-length"]) > this.#maxBytes) return pieces;
    const message = new IncompleteMessage(incomplete, keepaliveIntervalMs + keepaliveTimeoutMs);
    response.once("close", () => message.end());
    return joinPieces(pieces, request.headers["content-type"] ?? "", this.#maxBytes, message);
  }
}

/**
 * Returns a function that reports why no caller is waiting for a call any longer: its deadline has
 * passed, or its caller has disconnected.
 */
function requestEnding(header: Headers, response: HttpResponse): () => MicroError | undefined {
  const timeoutMs = timeoutOf(header);
  const deadline = timeoutMs === undefined ? Number.POSITIVE_INFINITY : deadlineAfter(timeoutMs);
  return () => {
    if (hasPassed(deadline)) return deadlineExceeded("the call", "not-executed");
    return response.destroyed ? callerGone("the call") : undefined;
  };
}

/** Returns the timeout that a caller states, in milliseconds. Connect refuses a malformed one. */
function timeoutOf(header: Headers): number | undefined {
  const [, count, unit] = /^(\d{1,8})([HMSmun])$/.exec(header.get("grpc-timeout") ?? "") ?? [];
  if (unit !== undefined) return Number(count) * unitMs[unit]!;
  const ms = header.get("connect-timeout-ms") ?? "";
  return /^\d{1,10}$/.test(ms) ? Number(ms) : undefined;
}

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/**
 * `setTimeout`, which Connect uses, fires at once for more than 24.8 days; no caller waits longer.
 */
const mostTimeoutMs = 2 ** 31 - 1;

/** Clamps the caller's timeout to what a timer can hold. */
function limitTimeouts(header: Headers): void {
  const timeoutMs = timeoutOf(header);
  if (timeoutMs === undefined || timeoutMs <= mostTimeoutMs) return;
  if (header.has("grpc-timeout")) {
    // Eight digits at most.
    header.set("grpc-timeout", `${Math.floor(mostTimeoutMs / 1_000)}S`);
  }
  if (header.has("connect-timeout-ms")) header.set("connect-timeout-ms", String(mostTimeoutMs));
}

/**
 * Replaces a host that is missing or not valid in a URL, because Connect builds a URL from it; only
 * the path names the method. grpcio, when given a list of servers, sends the list; Node sends IPv6
 * addresses without brackets.
 */
function withHost(request: HttpRequest): HttpRequest {
  if ("stream" in request) {
    if (!isUrlHost(request.authority)) {
      Object.defineProperty(request, "authority", { value: "localhost" });
    }
  } else if (!isUrlHost(request.headers.host)) {
    request.headers.host = "localhost";
  }
  return request;
}

function isUrlHost(host: string | undefined): boolean {
  return host !== undefined && /^[\w.\-:[\]]+$/.test(host) && URL.canParse(`http://${host}`);
}
