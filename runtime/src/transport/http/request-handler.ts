import type { ServerResponse } from "node:http";
import { MicroError } from "../../base/error.ts";
import type { WebAccess } from "../../base/web-access.ts";
import type { Peer } from "../../call/call.ts";
import type { AnyMethod } from "../../call/method.ts";
import { admitCall } from "../admission.ts";
import { codecError } from "../call-errors.ts";
import { outcomeKey, rawLines, setHeader } from "../http-headers.ts";
import type { Dispatcher } from "../transport.ts";
import { abandonBody } from "./abandon-body.ts";
import { statusOf } from "./connect/connect-response.ts";
import { corsLines } from "./cors.ts";
import { respondToProbe } from "./health-probe.ts";
import type { HttpConnection, MountedHandler } from "./mounted-routes.ts";
import { methodInPlace, switchedOff } from "./refusals.ts";
import type { HttpRequest, HttpResponse } from "./request.ts";
import { credentialIn, isMethodPath, repeatedLine } from "./request-header.ts";
import type { HttpServeOptions } from "./serve-options.ts";

/** The listener that received a request. */
export interface Reception {
  /** Where it listens. */
  readonly address: string;
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
  readonly #mountedMethods = new Map<string, AnyMethod>();

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
    const path = pathOf(request);
    if (this.#options.health ?? true) {
      if (respondToProbe(request, response, path, () => this.#reception.notReady())) return;
    }
    if (wrongOrigin !== undefined) {
      refuse(response, wrongOrigin);
      return;
    }
    const isMounted = mounted?.has(path) === true;
    const method = isMounted ? this.#mountedMethod(path) : this.#methodAt(path);
    if (method !== undefined) {
      const refusal = await this.#accessRefusal(request, method, connection.peer);
      if (response.destroyed) return;
      if (refusal !== undefined) {
        refuseCaller(response, refusal);
        return;
      }
    }
    if (isMounted) await mounted.respond(request, response, connection);
    else this.#respondWithProblem(request, response, path, method);
  }

  #methodAt(path: string): AnyMethod | undefined {
    return isMethodPath(path) ? this.#reception.dispatcher.method(path.slice(1)) : undefined;
  }

  /** The schema of a mounted route says nothing that is known here, so only rules grant it. */
  #mountedMethod(path: string): AnyMethod {
    let method = this.#mountedMethods.get(path);
    if (method === undefined) {
      method = methodInPlace(path.slice(1), { enveloped: undefined });
      this.#mountedMethods.set(path, method);
    }
    return method;
  }

  /** Returns why a caller learns nothing of a method. */
  async #accessRefusal(
    { rawHeaders }: HttpRequest,
    method: AnyMethod,
    peer: Peer,
  ): Promise<MicroError | undefined> {
    const { access } = this.#reception.dispatcher;
    if (access === undefined) return undefined;
    const credential = credentialIn(rawLines(rawHeaders));
    if (credential instanceof MicroError) return credential;
    try {
      await admitCall(access, method, credential, peer);
      return undefined;
    } catch (reason) {
      return codecError(reason, "not-executed");
    }
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
  #respondWithProblem(
    request: HttpRequest,
    response: HttpResponse,
    path: string,
    method: AnyMethod | undefined,
  ): void {
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

/** Responds to a caller that may not call. */
function refuseCaller(response: HttpResponse, error: MicroError): void {
  response.setHeader(outcomeKey, "not-executed");
  plain(response, statusOf(error.code), `${error.message}\n`);
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
