import { MicroError } from "../base/error.ts";
import { checkOptions } from "../base/option-check.ts";
import { loadDescriptors } from "../codec/file-descriptors.ts";
import { checkDial, withinDialLimits } from "../transport/dial-limits.ts";
import { resolveLimits } from "../transport/limits.ts";
import { encoding, hosts, limitKinds, tls as tlsKind } from "../transport/option-kinds.ts";
import { listenOnPort } from "../transport/port/port-listener.ts";
import { readSocketAddress } from "../transport/socket-address.ts";
import {
  type ClientTlsOptions,
  type ServerTlsOptions,
  servicePins,
  tlsVerification,
  warnIfInsecure,
} from "../transport/tls.ts";
import type { Channel, DialOptions, Transport, TransportLimits } from "../transport/transport.ts";
import { serveGoMicro } from "./option-kinds.ts";
import { goMicroProtocol } from "./port-protocol.ts";
import type { GoMicroServeOptions } from "./protocol-server.ts";

/** Options and limits of {@link goMicroTransport}. Limits that are omitted have their defaults. */
export interface GoMicroTransportOptions extends Partial<TransportLimits> {
  /**
   * How messages are encoded. JSON requires methods that were generated with their descriptors.
   * Default `binary`.
   */
  readonly encoding?: "binary" | "json";
  /** How its listeners serve calls. They speak no other protocol. */
  readonly serve?: GoMicroServeOptions;
  /** Names by which its listeners are reached, as in `TcpTransportOptions`. */
  readonly hosts?: readonly string[];
  /** TLS on either side. go-micro nodes do not publish whether they require it. */
  readonly tls?: { readonly server?: ServerTlsOptions; readonly client?: ClientTlsOptions };
}

const scheme = "mucp://";

/**
 * Calls services that are written with go-micro, through its RPC (mucp) over its HTTP transport
 * (docs/go-micro.md). A client uses it for nodes whose metadata has `protocol: mucp`, and for
 * addresses such as `mucp://host:port`. The implementation is loaded at the first dial.
 *
 * An error response from a server other than Micro-ES has the outcome `unknown`.
 *
 * @example
 * ```ts
 * import { createClient, goMicroTransport } from "@micro-es/runtime";
 * import { createGreeterClient } from "./gen/greeter/v1/greeter_micro.js";
 *
 * const client = createClient({ transports: [goMicroTransport()] });
 * await createGreeterClient(client).hello({ name: "Ada" }, { address: "mucp://127.0.0.1:8080" });
 * ```
 */
export function goMicroTransport(options: GoMicroTransportOptions = {}): Transport {
  checkOptions("goMicroTransport", options, {
    ...limitKinds,
    hosts,
    encoding,
    serve: serveGoMicro,
    tls: tlsKind,
  });
  const limits = resolveLimits(options);
  const { serve = {}, tls = {} } = options;
  warnIfInsecure(tls.client, "goMicroTransport");
  return {
    name: "go-micro",
    protocol: "mucp",
    guarantees: {
      reach: "network",
      flowControl: "connection",
      cancellation: true,
      drain: false,
      fullMetadata: false,
      resumption: false,
      encrypted: tls.server !== undefined,
      maxMessageBytes: limits.maxMessageBytes,
    },
    accepts(address) {
      try {
        readSocketAddress(hostOf(address));
        return true;
      } catch {
        return false;
      }
    },
    ...servicePins(tls.client),
    verifies: (_address, service) => tls.client && tlsVerification(tls.client, service),
    dial: (address, dialOptions) => dial(address, options, limits, dialOptions ?? {}),
    listen: (address, dispatcher, listenOptions) =>
      listenOnPort(
        address,
        dispatcher,
        limits,
        "go-micro",
        {
          native: false,
          others: [goMicroProtocol(serve)],
          tls: tls.server,
          hosts: options.hosts,
        },
        listenOptions ?? {},
      ),
  };
}

/** Returns the part after `mucp://`. No other transport uses this scheme. */
function hostOf(address: string): string {
  return address.startsWith(scheme) ? address.slice(scheme.length) : address;
}

async function dial(
  address: string,
  { encoding = "binary", tls }: GoMicroTransportOptions,
  limits: TransportLimits,
  options: DialOptions,
): Promise<Channel> {
  const host = hostOf(address);
  const at = readSocketAddress(host);
  if (at.kind === "host" && at.port === 0) {
    throw new MicroError("invalid_argument", `cannot dial ${address}: port 0 is not dialable`, {
      outcome: "not-executed",
    });
  }
  checkDial(address, options);
  await loadDescriptors();
  const { openChannel } = await import("./dial.ts");
  checkDial(address, options);
  const { service } = options;
  const opening = openChannel({ address, host, encoding, limits, tls: tls?.client, service });
  return withinDialLimits(opening, address, options, (channel) => channel.close());
}
