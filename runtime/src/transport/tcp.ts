import { connect, type NetConnectOpts, type Socket } from "node:net";
import { remainingMs } from "../deadline.ts";
import { MicroError } from "../error.ts";
import { cancelledBy } from "./call-errors.ts";
import type { GoMicroServeOptions } from "./go-micro/go-micro-front.ts";
import type { HttpFrontOptions } from "./http/http-front.ts";
import { resolveLimits } from "./limits.ts";
import { ClientConnection } from "./native/client-connection.ts";
import { ReadBuffer } from "./native/read-buffer.ts";
import { listenOnPort } from "./port-listener.ts";
import { readSocketAddress } from "./socket-address.ts";
import { codeOf } from "./socket-server.ts";
import {
  type ClientTlsOptions,
  connectOptions,
  type ServerTlsOptions,
  warnIfInsecure,
} from "./tls.ts";
import type {
  Channel,
  DialOptions,
  Transport,
  TransportGuarantees,
  TransportLimits,
} from "./transport.ts";

/** Limits of {@link tcpTransport}, and what its listeners speak; a limit that is left out has its default. */
export interface TcpTransportOptions extends Partial<TransportLimits> {
  /** Whether a listener speaks the native protocol. Default true. */
  readonly native?: boolean;
  /** How a listener speaks HTTP on the same port: Connect, gRPC and gRPC-Web. `false` turns it off. */
  readonly http?: HttpFrontOptions | false;
  /** How a listener answers go-micro's clients on the same port (docs/go-micro.md). `false` turns it off. */
  readonly goMicro?: GoMicroServeOptions | false;
  /** Speaks TLS, and nothing without it, on either side. */
  readonly tls?: { readonly server?: ServerTlsOptions; readonly client?: ClientTlsOptions };
}

/**
 * Calls over TCP and unix sockets in the native protocol (docs/wire-protocol.md). Its listeners also answer HTTP
 * (docs/http.md) and go-micro (docs/go-micro.md) on the same port; what speaks those is loaded with the first such
 * connection. Addresses are `host:port`,
 * `[v6]:port`, `:port` and `unix:/path`; `:port` listens on every interface and dials this machine. A unix
 * socket's file that a dead process left is replaced, and the file is removed when the listener closes.
 */
export function tcpTransport(options: TcpTransportOptions = {}): Transport {
  const limits = resolveLimits(options);
  const { native = true, http = {}, goMicro = {} } = options;
  const { server: serverTls, client: clientTls } = options.tls ?? {};
  const protocols = {
    native,
    http: http === false ? undefined : { goMicro: goMicro !== false, ...http },
    goMicro: goMicro === false ? undefined : goMicro,
    tls: serverTls,
  };
  warnIfInsecure(clientTls, "tcpTransport");
  const guarantees: TransportGuarantees = {
    reach: "network",
    flowControl: "stream",
    cancellation: true,
    drain: true,
    fullMetadata: true,
    resumption: false,
    encrypted: serverTls !== undefined,
    maxMessageBytes: limits.maxMessageBytes,
  };
  const onThisHost: TransportGuarantees = { ...guarantees, reach: "host", encrypted: true };
  return {
    name: "tcp",
    protocol: "native",
    guarantees,
    guaranteesAt: (address) => (address.startsWith("unix:") ? onThisHost : undefined),
    accepts(address) {
      try {
        readSocketAddress(address);
        return true;
      } catch {
        return false;
      }
    },
    dial: (address, dialOptions) => dial(address, limits, clientTls, dialOptions ?? {}),
    listen: (address, dispatcher, listenOptions) =>
      listenOnPort(address, dispatcher, limits, "tcp", protocols, listenOptions ?? {}),
  };
}

async function dial(
  text: string,
  limits: TransportLimits,
  tls: ClientTlsOptions | undefined,
  options: DialOptions,
): Promise<Channel> {
  const address = readSocketAddress(text);
  if (address.kind === "host" && address.port === 0) {
    throw new MicroError("invalid_argument", `cannot dial ${text}: port 0 is nobody's`, {
      outcome: "not-executed",
    });
  }
  const { signal, deadline = Number.POSITIVE_INFINITY } = options;
  if (signal?.aborted === true)
    throw cancelledBy(signal.reason, `dialling ${text}`, "not-executed");
  const patienceMs = remainingMs(deadline);
  if (patienceMs <= 0) throw tooLate(text);

  const target =
    address.kind === "unix"
      ? { path: address.path }
      : { host: address.host || "localhost", port: address.port, noDelay: true };
  const host = address.kind === "unix" ? "localhost" : address.host || "localhost";
  const reads = new ReadBuffer();
  const reading = { ...target, onread: reads.onread };
  const socket = tls === undefined ? connect(reading) : await connectSecurely(reading, host, tls);
  const connection = new ClientConnection(socket, text, limits);
  reads.giveTo(connection);
  connection.greet();
  let givenUp: MicroError | undefined;
  const giveUp = (reason: MicroError) => {
    givenUp = reason;
    connection.end(reason);
    socket.destroy();
  };
  const onAbort = () => giveUp(cancelledBy(signal?.reason, `dialling ${text}`, "not-executed"));
  signal?.addEventListener("abort", onAbort, { once: true });
  // The handshake timeout is the connection's own.
  const timer =
    patienceMs < limits.handshakeTimeoutMs
      ? setTimeout(() => giveUp(tooLate(text)), Math.ceil(patienceMs))
      : undefined;
  try {
    await connection.ready;
    return connection;
  } catch (reason) {
    throw givenUp ?? dialError(text, reason as MicroError);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

async function connectSecurely(
  target: NetConnectOpts,
  host: string,
  tls: ClientTlsOptions,
): Promise<Socket> {
  const { connect: connectTls } = await import("node:tls");
  return connectTls({ ...target, ...connectOptions(tls, host), ALPNProtocols: ["micro-es"] });
}

function dialError(text: string, reason: MicroError): MicroError {
  const denied = ["EACCES", "EPERM"].includes(codeOf(reason.cause) ?? "");
  return new MicroError(
    denied ? "permission_denied" : "unavailable",
    `cannot dial ${text}: ${reason.message}`,
    { outcome: "not-executed", cause: reason },
  );
}

function tooLate(text: string): MicroError {
  return new MicroError("deadline_exceeded", `${text} was not reached by the deadline`, {
    outcome: "not-executed",
  });
}
