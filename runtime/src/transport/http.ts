import { MicroError } from "../error.ts";
import { readUrl } from "./http/http-address.ts";
import type { HttpCallOptions } from "./http/http-call-options.ts";
import type { HttpFrontOptions } from "./http/http-front.ts";
import { resolveLimits } from "./limits.ts";
import { listenOnPort } from "./port-listener.ts";
import { type ClientTlsOptions, type ServerTlsOptions, warnIfInsecure } from "./tls.ts";
import type { Transport, TransportLimits } from "./transport.ts";

/** How {@link httpTransport} speaks, and its limits; a limit that is left out has its default. */
export interface HttpTransportOptions extends Partial<TransportLimits>, Partial<HttpCallOptions> {
  /** What its listeners speak. Default: HTTP/1.1 and HTTP/2, Connect, gRPC and gRPC-Web. */
  readonly serve?: HttpFrontOptions;
  /** How its listeners speak TLS, and how it dials `https://`. */
  readonly tls?: { readonly server?: ServerTlsOptions; readonly client?: ClientTlsOptions };
}

/**
 * Calls by gRPC, gRPC-Web or Connect, of any server that speaks one of them (docs/http.md). Addresses are URLs such
 * as `http://host:port` or `https://host/prefix`, and `host:port`, which is the first of these. What speaks HTTP is
 * loaded when it dials first.
 *
 * The outcome of an error that another than a Micro-ES server answers with is `unknown`.
 */
export function httpTransport(options: HttpTransportOptions = {}): Transport {
  const limits = resolveLimits(options);
  const { protocol = "grpc", serve = {} } = options;
  warnIfInsecure(options.tls?.client, "httpTransport");
  return {
    name: "http",
    protocol,
    guarantees: {
      reach: "network",
      flowControl: "stream",
      cancellation: true,
      drain: true,
      fullMetadata: true,
      resumption: false,
      encrypted: options.tls?.server !== undefined,
      maxMessageBytes: limits.maxMessageBytes,
    },
    accepts(address) {
      try {
        readUrl(address);
        return true;
      } catch {
        return false;
      }
    },
    async dial(address, dialOptions = {}) {
      const url = readUrl(address);
      if (url.port === "0") {
        throw new MicroError("invalid_argument", `cannot dial ${address}: port 0 is nobody's`, {
          outcome: "not-executed",
        });
      }
      const { dialHttp } = await import("./http/http-dial.ts");
      return dialHttp(
        address,
        url,
        { ...options, protocol },
        limits,
        dialOptions,
        options.tls?.client,
      );
    },
    listen: (address, dispatcher, listenOptions) =>
      listenOnPort(
        address,
        dispatcher,
        limits,
        "http",
        { native: false, http: serve, goMicro: undefined, tls: options.tls?.server },
        listenOptions ?? {},
      ),
  };
}
