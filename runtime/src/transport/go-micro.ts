import { remainingMs } from "../deadline.ts";
import { MicroError } from "../error.ts";
import { cancelledBy } from "./call-errors.ts";
import type { GoMicroServeOptions } from "./go-micro/go-micro-front.ts";
import { resolveLimits } from "./limits.ts";
import { listenOnPort } from "./port-listener.ts";
import { readSocketAddress } from "./socket-address.ts";
import { type ClientTlsOptions, type ServerTlsOptions, warnIfInsecure } from "./tls.ts";
import type { Channel, DialOptions, Transport, TransportLimits } from "./transport.ts";

/** How {@link goMicroTransport} speaks, and its limits; a limit that is left out has its default. */
export interface GoMicroTransportOptions extends Partial<TransportLimits> {
  /** How messages are written. JSON needs methods that were generated with their descriptors. Default `binary`. */
  readonly encoding?: "binary" | "json";
  /** How its listeners take calls, which speak nothing else. */
  readonly serve?: GoMicroServeOptions;
  /** How either side speaks TLS. go-micro's nodes do not say whether they want it. */
  readonly tls?: { readonly server?: ServerTlsOptions; readonly client?: ClientTlsOptions };
}

const scheme = "mucp://";

/**
 * Calls of services that are written with go-micro, by its RPC (mucp) over its HTTP transport (docs/go-micro.md). A
 * client takes it for nodes whose metadata says `protocol: mucp`, and for addresses such as `mucp://host:port`. What
 * speaks it is loaded when it dials first.
 *
 * The outcome of an error that another than a Micro-ES server answers with is `unknown`.
 */
export function goMicroTransport(options: GoMicroTransportOptions = {}): Transport {
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
    dial: (address, dialOptions) => dial(address, options, limits, dialOptions ?? {}),
    listen: (address, dispatcher, listenOptions) =>
      listenOnPort(
        address,
        dispatcher,
        limits,
        "go-micro",
        { native: false, http: undefined, goMicro: serve, tls: tls.server },
        listenOptions ?? {},
      ),
  };
}

/** What stands behind `mucp://`; such an address is nobody else's. */
function hostOf(address: string): string {
  return address.startsWith(scheme) ? address.slice(scheme.length) : address;
}

async function dial(
  address: string,
  { encoding = "binary", tls }: GoMicroTransportOptions,
  limits: TransportLimits,
  { signal, deadline = Number.POSITIVE_INFINITY }: DialOptions,
): Promise<Channel> {
  const host = hostOf(address);
  const at = readSocketAddress(host);
  if (at.kind === "host" && at.port === 0) {
    throw new MicroError("invalid_argument", `cannot dial ${address}: port 0 is nobody's`, {
      outcome: "not-executed",
    });
  }
  const { openChannel } = await import("./go-micro/open-channel.ts");
  const opening = openChannel({ address, host, encoding, limits, tls: tls?.client });
  const late = () =>
    new MicroError("deadline_exceeded", `${address} was not reached by the deadline`, {
      outcome: "not-executed",
    });
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  try {
    return await new Promise<Channel>((resolve, reject) => {
      onAbort = () => reject(cancelledBy(signal?.reason, `dialling ${address}`, "not-executed"));
      if (signal?.aborted === true) return onAbort();
      const patienceMs = remainingMs(deadline);
      if (patienceMs <= 0) return reject(late());
      signal?.addEventListener("abort", onAbort, { once: true });
      timer = setTimeout(() => reject(late()), Math.min(Math.ceil(patienceMs), 2 ** 31 - 1));
      opening.then(resolve, reject);
    });
  } catch (reason) {
    opening.then(
      (channel) => channel.close(),
      () => undefined,
    );
    throw reason;
  } finally {
    clearTimeout(timer);
    if (onAbort !== undefined) signal?.removeEventListener("abort", onAbort);
  }
}
