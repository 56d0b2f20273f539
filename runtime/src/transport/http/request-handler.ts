import type { DescMessage } from "@bufbuild/protobuf";
import { type ConnectRouter, createConnectRouter, createContextValues } from "@connectrpc/connect";
import type { UniversalHandler, UniversalHandlerFn } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import { deadlineAfter, hasPassed, monotonicNow } from "../../base/deadline.ts";
import { MicroError } from "../../base/error.ts";
import type { WebAccess } from "../../base/web-access.ts";
import { deadlineExceeded, type Peer } from "../../call/call.ts";
import type { AnyMethod, MethodKind } from "../../call/method.ts";
import { countedSchema } from "../../codec/message-elements.ts";
import { callerGone, listenerDraining, unknownMethod } from "../call-errors.ts";
import { outcomeKey, rawLines, setHeader } from "../http-headers.ts";
import type { Dispatcher, TransportLimits } from "../transport.ts";
import { compressions, lowerCodings } from "./compression/algorithms.ts";
import { defaultInflationRatio } from "./compression/inflation.ts";
import { never } from "./compression/messages.ts";
import { CallCompression } from "./compression/negotiate.ts";
import { getParameters, isCompressed, messageOf } from "./connect/connect-get.ts";
import { type CorsOptions, corsLines } from "./cors.ts";
import { respondToProbe } from "./health-probe.ts";
import { type Exchange, exchangeKey } from "./incoming-call.ts";
import { IncomingMethods, type RpcOptions } from "./incoming-methods.ts";
import { type IncompleteBytes, IncompleteMessage } from "./incomplete-message.ts";
import { JoinedPieces, joinPieces } from "./joined-pieces.ts";
import type { Encoding } from "./message-adapter.ts";
import { type BodyRules, receiveBody } from "./received-body.ts";
import type { HttpRequest, HttpResponse } from "./request.ts";
import { ResponseWriter } from "./response-writer.ts";
import type { StalledResponses } from "./stalled-responses.ts";

/** How HTTP requests are served. */
export interface HttpServeOptions extends RpcOptions {
  /** Whether go-micro gRPC clients are served (docs/go-micro.md). Default true. */
  readonly goMicro?: boolean;
  /** Whether `GET /healthz` and `GET /readyz` are served (docs/http.md). Default true. */
  readonly health?: boolean;
  /** Allows pages of other origins to call. Default: none. */
  readonly cors?: CorsOptions;
  /**
   * Connect services that are served in addition to the registered handlers, as connect-node serves
   * them.
   */
  readonly routes?: (router: ConnectRouter) => void;
}

/** What the calls of one connection share. */
export interface HttpConnection {
  readonly untaken: StalledResponses;
  /** Count the received bytes of incomplete requests: the connection, and the listener. */
  readonly incomplete: readonly IncompleteBytes[];
}

/** What responds to a request. */
interface Found {
  readonly handler: UniversalHandlerFn;
  /** Whether it does nothing before the first message of the request is complete. */
  readonly needsMessage: boolean;
}

/** The listener that received a request. */
export interface Reception {
  /** Where it listens. */
  readonly address: string;
  readonly draining: boolean;
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  /** Aborts when calls are cancelled because the listener closes. */
  readonly shutdown: AbortSignal;
  peer(request: HttpRequest): Peer;
  /** Rejects web pages that may not call. */
  readonly access: WebAccess;
  /** Returns why the server should get no new calls; undefined when it is ready. */
  notReady(): string | undefined;
}

/** Finds the handler of an HTTP request, and runs it. */
export class RequestHandler {
  readonly #reception: Reception;
  readonly #methods: IncomingMethods;
  readonly #cors: CorsOptions | undefined;
  readonly #routes: ReadonlyMap<string, UniversalHandler>;
  readonly #goMicro: boolean;
  readonly #compressMinBytes: number;
  readonly #health: boolean;
  readonly #options: HttpServeOptions;

  constructor(reception: Reception, options: HttpServeOptions) {
    this.#reception = reception;
    this.#methods = new IncomingMethods(options, reception.limits, reception.shutdown);
    this.#cors = options.cors;
    this.#routes = mounted(options, reception);
    this.#goMicro = (options.goMicro ?? true) && options.grpc !== false;
    this.#options = options;
    this.#health = options.health ?? true;
    this.#compressMinBytes = options.compressMinBytes ?? 1_024;
  }

  handle(request: HttpRequest, response: HttpResponse, connection: HttpConnection): void {
    abandonBody(request, response);
    this.#answer(request, response, connection).catch(() => {
      // The response could not be written because the caller disconnected; the handler's signal has
      // reported it.
      response.destroy();
    });
  }

  async #answer(
    request: HttpRequest,
    response: HttpResponse,
    connection: HttpConnection,
  ): Promise<void> {
    const repeated = repeatedLine(request.rawHeaders);
    if (repeated !== undefined) {
      plain(response, 400, `the request has several lines ${repeated}, and may have one\n`);
      return;
    }
    const origin = request.headers.origin;
    const preflight =
      request.method === "OPTIONS" && "access-control-request-method" in request.headers;
    const { access } = this.#reception;
    const wrongHost = hostsOf(request)
      .map((host) => access.hostRefusal(host))
      .find(Boolean);
    if (wrongHost !== undefined) {
      refuse(response, wrongHost);
      return;
    }
    const wrongOrigin = access.originRefusal({
      host: hostsOf(request)[0],
      origin,
      fetchSite: fetchSite(request),
    });
    if (this.#cors !== undefined) {
      setHeader(response, corsLines(this.#cors, origin, preflight));
      if (preflight) {
        response.writeHead(204);
        response.end();
        return;
      }
    }
    if (this.#reception.draining && request.httpVersionMajor === 1) {
      response.setHeader("connection", "close");
    }
    if (this.#health) {
      const { path } = split(request.url ?? "");
      if (respondToProbe(request, response, path, () => this.#reception.notReady())) return;
    }
    if (wrongOrigin !== undefined) {
      refuse(response, wrongOrigin);
      return;
    }
    const unreadable = getRefusal(request);
    const found =
      unreadable === undefined
        ? this.#find(request)
        : this.#refusal("the call", "unary", unreadable);
    if (found === undefined) {
      plain(response, 404, this.#nothingFound(request));
      return;
    }
    const beganAt = monotonicNow();
    const body = this.#body(request, response, connection);
    // Before the request is processed further, which costs Connect much more.
    if (found.needsMessage && body instanceof JoinedPieces) await body.awaitFirst();
    if ("stream" in request ? request.stream.destroyed : response.destroyed) return;
    const compression = new CallCompression(this.#compressMinBytes, this.#schemas(request).output);
    // Malformed requests, such as bytes that are not a message, never reach a handler. A mounted
    // router does not report when it calls its handler.
    let taken = this.#isMounted(request);
    const exchange: Exchange = {
      taken: () => {
        taken = true;
      },
      dispatcher: this.#reception.dispatcher,
      limits: this.#reception.limits,
      peer: this.#reception.peer(request),
      goMicro: this.#isGoMicro(request),
      requestLines: rawLines(request.rawHeaders),
      writeHeader: (lines) => setHeader(response, lines),
      receivedAll: () => !wasCutOff(request),
      nextCompressed: () => compression.nextCompressed(),
      mayCompress: (allowed) => compression.mayCompress(allowed),
    };
    const values = createContextValues().set(exchangeKey, exchange);
    let universal: ReturnType<typeof universalRequestFromNodeRequest>;
    try {
      const made = universalRequestFromNodeRequest(withHost(request), response, undefined, values);
      // Connect refuses bidirectional streams over HTTP/1.1, which can respond after a request and,
      // here, even during one.
      universal = { ...made, body, httpVersion: "2.0" };
      if (unreadable !== undefined)
        universal = { ...universal, url: withoutMessage(universal.url) };
    } catch {
      plain(response, 400, "the path of the request is not valid\n");
      return;
    }
    limitTimeouts(universal.header, monotonicNow() - beganAt);
    lowerCodings(universal.header);
    const received = receiveBody(body, universal.header, {
      ...this.#bodyRules(request, compression.watch(universal.header)),
      over: requestEnding(universal.header, response),
    });
    // Connect would allocate the announced length before the bytes have arrived; joined pieces do
    // not need it.
    if (body instanceof JoinedPieces) received.header.delete("content-length");
    const answer = await found.handler({ ...universal, ...received });
    if (answer.status === 415 && answer.body === undefined) {
      for (const [name, value] of new Headers(answer.header)) response.setHeader(name, value);
      response.setHeader(outcomeKey, "not-executed");
      plain(response, 415, this.#contentTypes(request));
      return;
    }
    await new ResponseWriter(response, connection.untaken).write(
      await compression.compress(answer),
      () => (taken ? [] : [[outcomeKey, "not-executed"]]),
    );
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
    const { maxMessageBytes, keepaliveIntervalMs, keepaliveTimeoutMs } = this.#reception.limits;
    const maxBytes = this.#options.maxRequestBytes ?? maxMessageBytes;
    // Node destroys an HTTP/1.1 connection when its request is not read to the end.
    const pieces = "stream" in request ? request : request.iterator({ destroyOnReturn: false });
    // Connect refuses a request that announces that it is too large.
    if (Number(request.headers["content-length"]) > maxBytes) return pieces;
    const message = new IncompleteMessage(incomplete, keepaliveIntervalMs + keepaliveTimeoutMs);
    response.once("close", () => message.end());
    return joinPieces(pieces, request.headers["content-type"] ?? "", maxBytes, message);
  }

  #bodyRules(request: HttpRequest, tell: BodyRules["tell"]): Omit<BodyRules, "over"> {
    const { limits } = this.#reception;
    const { maxRequestBytes = limits.maxMessageBytes, maxInflationRatio = defaultInflationRatio } =
      this.#options;
    const isMounted = this.#isMounted(request);
    return {
      maxBytes: Math.min(maxRequestBytes, limits.maxMessageBytes),
      maxInflationRatio,
      opaque: !isMounted,
      schema: this.#schemas(request).input,
      maxElements: limits.maxMessageElements,
      countsAll: isMounted,
      tell,
    };
  }

  /** Returns the schemas of a method's messages, if their elements can be counted. */
  #schemas(request: HttpRequest): Partial<Record<"input" | "output", DescMessage | undefined>> {
    const { path } = split(request.url ?? "");
    const mounted = this.#routes.get(path);
    if (mounted !== undefined) return mounted.method;
    const { dispatcher } = this.#reception;
    const name = path.slice(1);
    const method =
      dispatcher.method(name) ??
      (this.#isGoMicro(request) ? byEndpoint(dispatcher, name) : undefined);
    if (method === undefined) return {};
    return { input: countedSchema(method.input), output: countedSchema(method.output) };
  }

  #nothingFound(request: HttpRequest): string {
    const isGoMicro =
      request.httpVersionMajor === 1 && request.method === "POST" && request.url === "/";
    return isGoMicro
      ? `${switchedOff("go-micro's protocol", this.#reception.address, "goMicro").message}\n`
      : "there is no such method here\n";
  }

  #contentTypes(request: HttpRequest): string {
    const { connect = true, grpc = true, grpcWeb = true } = this.#options;
    const type = request.headers["content-type"];
    const sent = type === undefined ? "without a content-type" : `as ${type.slice(0, 128)}`;
    const allowed = [
      ...(connect ? ["application/json or application/proto (Connect)"] : []),
      ...(connect
        ? ["application/connect+json or application/connect+proto (Connect, streams)"]
        : []),
      ...(grpc ? ["application/grpc"] : []),
      ...(grpcWeb ? ["application/grpc-web"] : []),
    ];
    return `the request was sent ${sent}, which this method does not take; send:\n  ${allowed.join("\n  ")}\nexample: curl --json '{}' http://${request.headers.host ?? request.headers[":authority"] ?? "host:port"}${split(request.url ?? "").path}\n`;
  }

  /** Only go-micro's gRPC client states its content type twice. */
  #isGoMicro(request: HttpRequest): boolean {
    return this.#goMicro && request.headers["x-content-type"] !== undefined;
  }

  /** Whether a mounted router serves a path. */
  isMounted(path: string): boolean {
    return this.#routes.has(path);
  }

  #isMounted({ url = "" }: HttpRequest): boolean {
    return this.isMounted(split(url).path);
  }

  #find(request: HttpRequest): Found | undefined {
    const { path } = split(request.url ?? "");
    // A package name contains no hyphen, but in go-micro's paths a service name may take its place.
    const name = /^\/([\w.-]+\/\w+)$/.exec(path)?.[1];
    if (name === undefined) return undefined;
    const form = formOf(request.headers["content-type"], parametersOf(request));
    const { dispatcher, address, draining } = this.#reception;
    const { protocol } = form;
    if (protocol !== undefined && this.#options[protocol.option] === false) {
      const error = switchedOff(protocol.name, address, `http.${protocol.option}`);
      return this.#refusal(name, form.kind, error);
    }
    const route = this.#routes.get(path);
    if (route !== undefined) return { handler: route, needsMessage: false };
    if (draining) return this.#refusal(name, form.kind, listenerDraining(address));
    const goMicro = this.#isGoMicro(request);
    const method =
      dispatcher.method(name) ??
      (form.protocol === protocols.grpc && goMicro ? byEndpoint(dispatcher, name) : undefined);
    if (method !== undefined) {
      const { kind } = method;
      return {
        handler: goMicro
          ? this.#methods.openEnded(method, form.encoding)
          : this.#methods.handler(method, form.encoding),
        needsMessage: kind === "unary" || kind === "server_streaming",
      };
    }
    if (protocol === undefined) return undefined;
    const error = dispatcher.unknownMethod?.(name) ?? unknownMethod(name, address);
    return this.#refusal(name, form.kind, error);
  }

  #refusal(name: string, kind: MethodKind, error: MicroError): Found {
    const handler = notFound(this.#methods.refusal(name, kind, error));
    // Connect reads a unary request before it responds.
    return { handler, needsMessage: kind === "unary" };
  }
}

/** Returns why the message of a GET is not read, whatever its method. */
function getRefusal(request: HttpRequest): MicroError | undefined {
  const parameters = parametersOf(request);
  if (parameters === undefined) return undefined;
  // Any page can make a browser send a GET, and a URL must not carry more than fits into it
  // uncompressed.
  if (isCompressed(parameters)) {
    return invalidGet(
      "messages of GET requests may not be compressed; send the message as it is, or POST it",
    );
  }
  // Connect would report the decoding failure as a server error.
  if (messageOf(parameters) === undefined) {
    return invalidGet(
      "the parameter message is not base64, which base64=1 says it is; encode it, or leave base64 out",
    );
  }
  return undefined;
}

function invalidGet(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}

/** Returns the parameters of a GET; no other Connect request has any. */
function parametersOf({ method, url = "" }: HttpRequest): URLSearchParams | undefined {
  return method === "GET" ? getParameters(split(url).query) : undefined;
}

/**
 * Returns the URL of a GET request with an empty message, which Connect reads before the request is
 * refused.
 */
function withoutMessage(url: string): string {
  return `${url.slice(0, url.indexOf("?"))}?connect=v1&encoding=json&message=%7B%7D`;
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

/** @returns the query with its question mark, or an empty string */
function split(url: string): { path: string; query: string } {
  const question = url.indexOf("?");
  if (question < 0) return { path: url, query: "" };
  return { path: url.slice(0, question), query: url.slice(question) };
}

/**
 * Returns the method that go-micro calls `/<service>.Greeter/Hello`, with the name that the server
 * is registered under in place of the package. Any other name would bypass a proxy that authorizes
 * requests by path.
 */
function byEndpoint(dispatcher: Dispatcher, name: string): AnyMethod | undefined {
  const [, service, type, rpc] = /^(.+)\.(\w+)\/(\w+)$/.exec(name) ?? [];
  return service === undefined
    ? undefined
    : dispatcher.methodOfEndpoint?.(`${type}.${rpc}`, service);
}

function switchedOff(protocol: string, address: string, option: string): MicroError {
  return new MicroError(
    "unimplemented",
    `${protocol} is switched off at ${address} (option ${option}, MICRO_PROTOCOLS)`,
    { outcome: "not-executed" },
  );
}

/**
 * Makes a refusal respond with HTTP 404: Connect has no status of its own for a unary method that
 * does not exist. The other protocols have one.
 */
function notFound(refusal: UniversalHandler): UniversalHandlerFn {
  return async (request) => {
    const response = await refusal(request);
    return response.status === 501 ? { ...response, status: 404 } : response;
  };
}

/** An HTTP protocol, with the option that switches it off. */
interface RpcProtocol {
  readonly name: string;
  readonly option: "connect" | "grpc" | "grpcWeb";
}

const protocols = {
  connect: { name: "Connect", option: "connect" },
  grpc: { name: "gRPC", option: "grpc" },
  grpcWeb: { name: "gRPC-Web", option: "grpcWeb" },
} as const;

interface RequestForm {
  readonly encoding: Encoding;
  /** The kind that an unknown method must have. */
  readonly kind: MethodKind;
  /** Undefined if the request is not a call. */
  readonly protocol: RpcProtocol | undefined;
}

/** @param parameters of a GET */
function formOf(
  contentType: string | undefined,
  parameters: URLSearchParams | undefined,
): RequestForm {
  const type = contentType ?? "";
  const encoding = parameters?.get("encoding") ?? undefined;
  const json = /^application\/(?:json|connect\+json|grpc\+json|grpc-web\+json)\b/i.test(type);
  return {
    encoding: json || encoding === "json" ? "json" : "binary",
    kind: /^application\/(?:connect\+|grpc)/i.test(type) ? "client_streaming" : "unary",
    protocol: protocolOf(type, encoding),
  };
}

function protocolOf(contentType: string, encoding: string | undefined): RpcProtocol | undefined {
  if (/^application\/grpc-web/i.test(contentType)) return protocols.grpcWeb;
  if (/^application\/grpc/i.test(contentType)) return protocols.grpc;
  const isConnect = /^application\/(?:json|proto|connect\+)/i.test(contentType);
  return isConnect || encoding !== undefined ? protocols.connect : undefined;
}

/**
 * Header lines that decide how a request is handled. If one is repeated, a proxy may have used
 * another value than the one that counts here.
 */
const singleLines: ReadonlySet<string> = new Set([
  "content-type",
  "host",
  "origin",
  "sec-fetch-site",
  "x-content-type",
]);

/** Returns the name of a line that is repeated and must not be. */
function repeatedLine(rawHeaders: readonly string[]): string | undefined {
  const seen = new Set<string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    if (!singleLines.has(name)) continue;
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
}

function mounted(
  { routes, connect = true, grpc = true, grpcWeb = true }: HttpServeOptions,
  { limits, shutdown }: Reception,
): ReadonlyMap<string, UniversalHandler> {
  if (routes === undefined) return new Map();
  const router = createConnectRouter({
    connect,
    grpc,
    grpcWeb,
    acceptCompression: [...compressions],
    // Responses are compressed like those of the other methods.
    compressMinBytes: never,
    readMaxBytes: limits.maxMessageBytes,
    shutdownSignal: shutdown,
  });
  routes(router);
  return new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
}

function plain(response: HttpResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" });
  response.end(text);
}

/**
 * Responds with why a request may not be sent here. A page of another origin cannot read it, but
 * the browser's console shows it.
 */
function refuse(response: HttpResponse, error: MicroError): void {
  response.setHeader(outcomeKey, "not-executed");
  plain(response, 403, `${error.message}\n`);
}

/** Returns the host names that a request uses for this server: HTTP/2 has two places for them. */
function hostsOf(request: HttpRequest): readonly string[] {
  const { host } = request.headers;
  const authority = "stream" in request ? request.headers[":authority"] : undefined;
  return [authority, host].filter((name) => name !== undefined);
}

function fetchSite(request: HttpRequest): string | undefined {
  const site = request.headers["sec-fetch-site"];
  return Array.isArray(site) ? site.join() : site;
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

/**
 * Subtracts from the caller's timeout the time that passed before Connect starts counting, and
 * clamps it to what a timer can hold. A timeout that needs neither is left as it is, and so is one
 * that Connect refuses.
 */
function limitTimeouts(header: Headers, passedMs: number): void {
  const limited = (ms: number): number | undefined => {
    if (passedMs < 1 && ms <= mostTimeoutMs) return undefined;
    return Math.max(1, Math.ceil(Math.min(ms, mostTimeoutMs) - passedMs));
  };
  const [, count, unit] = /^(\d{1,8})([HMSmun])$/.exec(header.get("grpc-timeout") ?? "") ?? [];
  const grpcMs = limited(Number(count) * unitMs[unit ?? "m"]!);
  if (count !== undefined && grpcMs !== undefined) {
    // Eight digits at most.
    const isLong = grpcMs > 99_999_999;
    header.set("grpc-timeout", isLong ? `${Math.floor(grpcMs / 1_000)}S` : `${grpcMs}m`);
  }
  const text = header.get("connect-timeout-ms") ?? "";
  const connectMs = limited(Number(text));
  if (/^\d{1,10}$/.test(text) && connectMs !== undefined) {
    header.set("connect-timeout-ms", String(connectMs));
  }
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

function wasCutOff(request: HttpRequest): boolean {
  if (!("stream" in request)) return !request.complete;
  return request.stream.aborted || request.stream.rstCode !== 0;
}

/**
 * Discards what the caller still sends after the end of its response. An HTTP/2 connection stops
 * such a request. HTTP/1.1 has no such signal: the next request of the connection follows the body,
 * so the body is read and discarded, for a limited time.
 */
function abandonBody(request: HttpRequest, response: HttpResponse): void {
  if ("stream" in request) return;
  response.once("finish", () => {
    if (request.complete) return;
    const timer = setTimeout(() => request.socket.destroy(), abandonedBodyMs).unref();
    request.once("close", () => clearTimeout(timer));
    request.resume();
  });
}

/** How long the rest of a request that is no longer needed may take, in milliseconds. */
const abandonedBodyMs = 1_000;
