import type { ServerResponse } from "node:http";
import type { MicroError } from "../../base/error.ts";
import type { WebAccess } from "../../base/web-access.ts";
import { outcomeKey, rawLines, setHeader } from "../http-headers.ts";
import type { Dispatcher } from "../transport.ts";
import { abandonBody } from "./abandon-body.ts";
import { corsLines } from "./cors.ts";
import { respondToProbe } from "./health-probe.ts";
import type { HttpConnection, MountedHandler } from "./mounted-routes.ts";
import { switchedOff } from "./refusals.ts";
import type { HttpRequest, HttpResponse } from "./request.ts";
import { isMethodPath, repeatedLine } from "./request-header.ts";
import type { HttpServeOptions } from "./serve-options.ts";

/** The listener that received a request. */
export interface Reception {
  /** Where it listens. */
  readonly address: string;
  readonly draining: boolean;
  readonly dispatcher: Dispatcher;
  /** Rejects web pages that may not call. */
  readonly access: WebAccess;
  readonly mounted: MountedHandler | undefined;
  /** Returns why the server should get no new calls; undefined when it is ready. */
  notReady(): string | undefined;
}

/**
 * Responds to all requests except calls for the dispatcher: health probes, preflight requests,
 * mounted routes, and what is refused.
 */
export class RequestHandler {
  readonly #reception: Reception;
  readonly #options: HttpServeOptions;

  constructor(reception: Reception, options: HttpServeOptions) {
    this.#reception = reception;
    this.#options = options;
  }

  handle(request: HttpRequest, response: HttpResponse, connection: HttpConnection): void {
    if (!("stream" in request)) abandonBody(request, response as ServerResponse);
    this.#respond(request, response, connection).catch(() => {
      // The response could not be written because the caller disconnected; the handler's signal has
      // reported it.
      response.destroy();
    });
  }

  async #respond(
    request: HttpRequest,
    response: HttpResponse,
    connection: HttpConnection,
  ): Promise<void> {
    const repeated = repeatedLine(rawLines(request.rawHeaders));
    if (repeated !== undefined) {
      plain(response, 400, `the request has several lines ${repeated}, and may have one\n`);
      return;
    }
    const { access, mounted } = this.#reception;
    const wrongHost = hostsOf(request)
      .map((host) => access.hostRefusal(host))
      .find(Boolean);
    if (wrongHost !== undefined) {
      refuse(response, wrongHost);
      return;
    }
    const { origin } = request.headers;
    const wrongOrigin = access.originRefusal({
      host: hostsOf(request)[0],
      origin,
      fetchSite: fetchSite(request),
    });
    if (this.#allowOrigin(request, response)) return;
    if (this.#reception.draining && request.httpVersionMajor === 1) {
      response.setHeader("connection", "close");
    }
    const path = pathOf(request);
    if (this.#options.health ?? true) {
      if (respondToProbe(request, response, path, () => this.#reception.notReady())) return;
    }
    if (wrongOrigin !== undefined) refuse(response, wrongOrigin);
    else if (mounted?.has(path) === true) await mounted.respond(request, response, connection);
    else this.#respondWithProblem(request, response, path);
  }

  /** Says which pages may read the response. Returns true after it has responded to a preflight. */
  #allowOrigin({ method, headers }: HttpRequest, response: HttpResponse): boolean {
    const { cors } = this.#options;
    if (cors === undefined) return false;
    const isPreflight = method === "OPTIONS" && "access-control-request-method" in headers;
    setHeader(response, corsLines(cors, headers.origin, isPreflight));
    if (!isPreflight) return false;
    response.writeHead(204);
    response.end();
    return true;
  }

  /** Responds to a request that no protocol has, or that does not fit its method. */
  #respondWithProblem(request: HttpRequest, response: HttpResponse, path: string): void {
    const { dispatcher } = this.#reception;
    const method = isMethodPath(path) ? dispatcher.method(path.slice(1)) : undefined;
    if (method === undefined) {
      plain(response, 404, this.#nothingFound(request));
      return;
    }
    response.setHeader(outcomeKey, "not-executed");
    const isGettable = method.kind === "unary" && method.idempotency === "no_side_effects";
    if (request.method === "POST" || (request.method === "GET" && isGettable)) {
      plain(response, 415, this.#contentTypes(request, path));
      return;
    }
    response.setHeader("allow", isGettable ? "GET, POST" : "POST");
    plain(response, 405, `${method.name} is not called by ${request.method}\n`);
  }

  #nothingFound(request: HttpRequest): string {
    const isGoMicro =
      request.httpVersionMajor === 1 && request.method === "POST" && request.url === "/";
    return isGoMicro
      ? `${switchedOff("go-micro's protocol", this.#reception.address, "goMicro").message}\n`
      : "there is no such method here\n";
  }

  #contentTypes({ headers }: HttpRequest, path: string): string {
    const { connect = true, grpc = true, grpcWeb = true } = this.#options;
    const type = headers["content-type"];
    const sent = type === undefined ? "without a content-type" : `as ${type.slice(0, 128)}`;
    const allowed = [
      ...(connect ? ["application/json or application/proto (Connect)"] : []),
      ...(connect
        ? ["application/connect+json or application/connect+proto (Connect, streams)"]
        : []),
      ...(grpc ? ["application/grpc"] : []),
      ...(grpcWeb ? ["application/grpc-web"] : []),
    ];
    return `the request was sent ${sent}, which this method does not take; send:\n  ${allowed.join("\n  ")}\nexample: curl --json '{}' http://${headers.host ?? headers[":authority"] ?? "host:port"}${path}\n`;
  }
}

function pathOf({ url = "" }: HttpRequest): string {
  const question = url.indexOf("?");
  return question < 0 ? url : url.slice(0, question);
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
