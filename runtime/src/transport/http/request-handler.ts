import { type ConnectRouter, createConnectRouter, createContextValues } from "@connectrpc/connect";
import type { UniversalHandler, UniversalHandlerFn } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import type { AnyMethod, MethodKind } from "../../method.ts";
import { listenerDraining, unknownMethod } from "../call-errors.ts";
import type { Dispatcher, TransportLimits } from "../transport.ts";
import { CallCompression } from "./answer-compression.ts";
import { AnswerWriter } from "./answer-writer.ts";
import { compressions } from "./compressions.ts";
import { type CorsOptions, corsLines } from "./cors.ts";
import { outcomeKey, rawLines, setHeader } from "./http-metadata.ts";
import type { HttpRequest, HttpResponse } from "./http-request.ts";
import type { Encoding } from "./message-form.ts";
import { type Exchange, exchangeKey } from "./served-call.ts";
import { type RpcOptions, ServedMethods } from "./served-methods.ts";
import type { UntakenAnswers } from "./untaken-answers.ts";

/** What HTTP requests are answered by. */
export interface HttpServeOptions extends RpcOptions {
  /** Whether gRPC clients of go-micro's are answered (docs/go-micro.md). Default true. */
  readonly goMicro?: boolean;
  /** Lets pages of other origins call. Default: none. */
  readonly cors?: CorsOptions;
  /** Services of Connect that are served beside the registered handlers, as connect-node serves them. */
  readonly routes?: (router: ConnectRouter) => void;
}

/** Where a request came in. */
export interface Reception {
  /** Where it listens. */
  readonly address: string;
  readonly draining: boolean;
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  /** Fires when calls are given up because the listener closes. */
  readonly shutdown: AbortSignal;
  peerAddress(request: HttpRequest): string;
}

/** Finds what answers an HTTP request, and lets it answer. */
export class RequestHandler {
  readonly #reception: Reception;
  readonly #methods: ServedMethods;
  readonly #cors: CorsOptions | undefined;
  readonly #routes: ReadonlyMap<string, UniversalHandler>;
  readonly #transport: string;
  readonly #goMicro: boolean;
  readonly #compressMinBytes: number;

  constructor(reception: Reception, options: HttpServeOptions, transport: string) {
    this.#reception = reception;
    this.#methods = new ServedMethods(options, reception.limits, reception.shutdown);
    this.#cors = options.cors;
    this.#routes = mounted(options, reception);
    this.#transport = transport;
    this.#goMicro = (options.goMicro ?? true) && options.grpc !== false;
    this.#compressMinBytes = options.compressMinBytes ?? 1_024;
  }

  /** @param untaken the answers of the connection by which the request came */
  handle(request: HttpRequest, response: HttpResponse, untaken: UntakenAnswers): void {
    this.#answer(request, response, untaken).catch(() => {
      // The answer could not be written because the caller is gone, which the handler's signal has told.
      response.destroy();
    });
  }

  async #answer(
    request: HttpRequest,
    response: HttpResponse,
    untaken: UntakenAnswers,
  ): Promise<void> {
    const origin = request.headers.origin;
    if (this.#cors !== undefined) {
      const preflight =
        request.method === "OPTIONS" && "access-control-request-method" in request.headers;
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
    const handler = this.#find(request);
    if (handler === undefined) {
      plain(response, 404, "there is no such method here\n");
      return;
    }
    const compression = new CallCompression(this.#compressMinBytes);
    // Nobody is asked for what is no request, as bytes that are no message; a mounted router does not say when it asks.
    let taken = this.#isMounted(request);
    const exchange: Exchange = {
      taken: () => {
        taken = true;
      },
      dispatcher: this.#reception.dispatcher,
      limits: this.#reception.limits,
      peer: { address: this.#reception.peerAddress(request), transport: this.#transport },
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
      universal = universalRequestFromNodeRequest(withHost(request), response, undefined, values);
      if (!("stream" in request)) {
        // Connect refuses conversations by HTTP/1.1, by which one can very well answer after, and here even during, a
        // request. And Node leaves a connection for dead when its request is not read to the end.
        const body = request.iterator({ destroyOnReturn: false });
        universal = { ...universal, httpVersion: "2.0", body };
      }
    } catch {
      plain(response, 400, "the request names no host, or no possible path\n");
      return;
    }
    abandonBody(request, response);
    const answer = await handler(compression.watch(universal));
    await new AnswerWriter(response, untaken).write(await compression.compress(answer), () =>
      taken ? [] : [[outcomeKey, "not-executed"]],
    );
  }

  /** Only go-micro's gRPC client says twice what it sends. */
  #isGoMicro(request: HttpRequest): boolean {
    return this.#goMicro && request.headers["x-content-type"] !== undefined;
  }

  #isMounted({ url = "" }: HttpRequest): boolean {
    return this.#routes.has(split(url).path);
  }

  #find(request: HttpRequest): UniversalHandlerFn | undefined {
    const { path, query } = split(request.url ?? "");
    const route = this.#routes.get(path);
    if (route !== undefined) return route;
    const form = formOf(request.headers["content-type"], query);
    const name = path.slice(1);
    // A package has no hyphen, but the name of a service in its place may, in go-micro's paths.
    if (!/^[\w.-]+\/\w+$/.test(name)) return undefined;
    const { dispatcher, address, draining } = this.#reception;
    if (draining) return this.#methods.refusal(name, form.kind, listenerDraining(address));
    const goMicro = this.#isGoMicro(request);
    const method =
      dispatcher.method(name) ??
      (form.isGrpc && this.#goMicro ? byEndpoint(dispatcher, name) : undefined);
    if (method !== undefined) {
      return goMicro
        ? this.#methods.openEnded(method, form.encoding)
        : this.#methods.handler(method, form.encoding);
    }
    if (!form.isCall) return undefined;
    const error = dispatcher.unknownMethod?.(name) ?? unknownMethod(name, address);
    return notFound(this.#methods.refusal(name, form.kind, error));
  }
}

/** @returns the query with its question mark, or empty */
function split(url: string): { path: string; query: string } {
  const question = url.indexOf("?");
  if (question < 0) return { path: url, query: "" };
  return { path: url.slice(0, question), query: url.slice(question) };
}

/** The method that go-micro calls `/<service>.Greeter/Hello`, whatever package it is in. */
function byEndpoint(dispatcher: Dispatcher, name: string): AnyMethod | undefined {
  const slash = name.indexOf("/");
  const dot = name.lastIndexOf(".", slash);
  const endpoint = `${name.slice(dot + 1, slash)}.${name.slice(slash + 1)}`;
  return dispatcher.methodOfEndpoint?.(endpoint, name.slice(0, Math.max(dot, 0)));
}

/** Connect has no status of its own for an unary method that is not there, but HTTP's; all others say it otherwise. */
function notFound(refusal: UniversalHandler): UniversalHandlerFn {
  return async (request) => {
    const response = await refusal(request);
    return response.status === 501 ? { ...response, status: 404 } : response;
  };
}

/** What the content type of a request says: the encoding, and of which kind a method that is not known must be. */
function formOf(
  contentType: string | undefined,
  query: string,
): { encoding: Encoding; kind: MethodKind; isCall: boolean; isGrpc: boolean } {
  const type = contentType ?? "";
  const json = /^application\/(?:json|connect\+json|grpc\+json|grpc-web\+json)\b/i.test(type);
  const jsonQuery = /[?&]encoding=json(?:&|$)/.test(query);
  return {
    encoding: json || jsonQuery ? "json" : "binary",
    kind: /^application\/(?:connect\+|grpc)/i.test(type) ? "client_streaming" : "unary",
    isGrpc: /^application\/grpc(?:\+|;|$)/i.test(type),
    isCall:
      /^application\/(?:json|proto|connect\+|grpc)/i.test(type) || /[?&]encoding=/.test(query),
  };
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
 * A request with an authority that stands in a URL. grpcio, which is given a list of servers, sends the list; what is
 * called stands in the path all the same.
 */
function withHost(request: HttpRequest): HttpRequest {
  if ("stream" in request && !/^[\w.\-:[\]]+$/.test(request.authority ?? "")) {
    Object.defineProperty(request, "authority", { value: "localhost" });
  }
  return request;
}

function wasCutOff(request: HttpRequest): boolean {
  if (!("stream" in request)) return !request.complete;
  return request.stream.aborted || request.stream.rstCode !== 0;
}

/**
 * What the caller still sends after the end of its answer is not waited for. By HTTP/2 it is told so. HTTP/1.1 has no
 * word for that: the next request of the connection stands behind it, so it is read and thrown away, but not for long.
 */
function abandonBody(request: HttpRequest, response: HttpResponse): void {
  if ("stream" in request) {
    const { stream } = request;
    // The last event before the end of an answer: `finish` of the response only comes when all is over.
    stream.once("wantTrailers", () =>
      setImmediate(() => {
        if (!stream.closed && !stream.readableEnded) stream.close();
      }),
    );
    return;
  }
  response.once("finish", () => {
    if (request.complete) return;
    const timer = setTimeout(() => request.socket.destroy(), abandonedBodyMs).unref();
    request.once("close", () => clearTimeout(timer));
    request.resume();
  });
}

/** How long the rest of a request that is not wanted any more may take, in milliseconds. */
const abandonedBodyMs = 1_000;
