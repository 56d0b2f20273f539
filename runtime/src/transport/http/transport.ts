import { MicroError } from "../../base/error.ts";
import { checkOptions } from "../../base/option-check.ts";
import { loadDescriptors } from "../../codec/file-descriptors.ts";
import { checkDial } from "../dial-limits.ts";
import { resolveLimits } from "../limits.ts";
import { hosts, limitKinds, tls } from "../option-kinds.ts";
import { listenOnPort } from "../port/port-listener.ts";
import {
  type ClientTlsOptions,
  type ServerTlsOptions,
  servicePins,
  tlsVerification,
  warnIfInsecure,
} from "../tls.ts";
import type { Transport, TransportLimits } from "../transport.ts";
import { readUrl } from "./address.ts";
import type { HttpCallOptions } from "./call-options.ts";
import { httpCallKinds, serveHttp } from "./option-kinds.ts";
import { httpProtocol } from "./port-protocol.ts";
import type { HttpProtocolOptions } from "./protocol-server.ts";

/**
 * Protocol options and limits of {@link httpTransport}. Limits that are omitted have their
 * defaults.
 */
export interface HttpTransportOptions extends Partial<TransportLimits>, Partial<HttpCallOptions> {
  /** What its listeners serve. Default: HTTP/1.1 and HTTP/2; Connect, gRPC and gRPC-Web. */
  readonly serve?: HttpProtocolOptions;
  /** Names by which its listeners are reached, as in `TcpTransportOptions`. */
  readonly hosts?: readonly string[];
  /** TLS options of its listeners, and for dialing `https://`. */
  readonly tls?: { readonly server?: ServerTlsOptions; readonly client?: ClientTlsOptions };
}

/**
 * Carries calls over gRPC, gRPC-Web or Connect, to any server that speaks one of them
 * (docs/http.md). Addresses are URLs such as `http://host:port` or `https://host/prefix`, or
 * `host:port`, which means `http://host:port`. The HTTP implementation is loaded at the first dial.
 *
 * An error response from a server other than Micro-ES has the outcome `unknown`.
 *
 * @example
 * ```ts
 * import { createClient, httpTransport } from "@micro-es/runtime";
 * import { createGreeterClient } from "./gen/greeter/v1/greeter_micro.js";
 *
 * const client = createClient({ transports: [httpTransport({ protocol: "connect" })] });
 * await createGreeterClient(client).hello({ name: "Ada" }, { address: "http://127.0.0.1:8080" });
 * ```
 */
export function httpTransport(options: HttpTransportOptions = {}): Transport {
  checkOptions("httpTransport", options, {
    ...limitKinds,
    hosts,
    ...httpCallKinds,
    serve: serveHttp,
    tls,
  });
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
    ...servicePins(options.tls?.client),
    verifies: (address, service) =>
      readUrl(address).protocol === "https:"
        ? tlsVerification(options.tls?.client ?? {}, service)
        : undefined,
    async dial(address, dialOptions = {}) {
      const url = readUrl(address);
      if (url.port === "0") {
        throw new MicroError("invalid_argument", `cannot dial ${address}: port 0 is not dialable`, {
          outcome: "not-executed",
        });
      }
      checkDial(address, dialOptions);
      await loadDescriptors();
      const { httpVersion = "2" } = options;
      const clientTls = options.tls?.client;
      if (httpVersion === "2") {
        const { dialHttp2 } = await import("./outgoing/dial-http2.ts");
        return dialHttp2(address, url, options, limits, dialOptions, clientTls);
      }
      const { dialHttp1 } = await import("./outgoing/dial-http1.ts");
      return dialHttp1(address, url, { ...options, protocol }, limits, dialOptions, clientTls);
    },
    listen: (address, dispatcher, listenOptions) =>
      listenOnPort(
        address,
        dispatcher,
        limits,
        "http",
        {
          native: false,
          others: [httpProtocol(serve)],
          tls: options.tls?.server,
          hosts: options.hosts,
        },
        listenOptions ?? {},
      ),
  };
}
