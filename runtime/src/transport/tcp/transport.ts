import { connect, type NetConnectOpts } from "node:net";
import type { TLSSocket } from "node:tls";
import { listenForAbort } from "../../base/abort.ts";
import { remainingMs } from "../../base/deadline.ts";
import { checkDialable, lookupDialable } from "../../base/dialable-address.ts";
import { MicroError } from "../../base/error.ts";
import { checkOptions, flag, orFalse } from "../../base/option-check.ts";
import { serveGoMicro } from "../../go-micro/option-kinds.ts";
import { goMicroProtocol } from "../../go-micro/port-protocol.ts";
import type { GoMicroServeOptions } from "../../go-micro/protocol-server.ts";
import { checkDial, dialCancelled, dialTooLate } from "../dial-limits.ts";
import { serveHttp } from "../http/option-kinds.ts";
import { httpProtocol } from "../http/port-protocol.ts";
import type { HttpProtocolOptions } from "../http/protocol-server.ts";
import { resolveLimits } from "../limits.ts";
import { ClientConnection } from "../native/client-connection.ts";
import { ReadBuffer } from "../native/read-buffer.ts";
import { hosts, limitKinds, tls } from "../option-kinds.ts";
import { listenOnPort, type PortProtocols } from "../port/port-listener.ts";
import { codeOf } from "../port/socket-server.ts";
import { readSocketAddress } from "../socket-address.ts";
import {
  type ClientTlsOptions,
  connectOptions,
  onReplacedIdentity,
  onServerExpiry,
  type ServerTlsOptions,
  servicePins,
  tlsVerification,
  warnIfInsecure,
} from "../tls.ts";
import type {
  Channel,
  DialOptions,
  Transport,
  TransportGuarantees,
  TransportLimits,
} from "../transport.ts";

/**
 * Limits of {@link tcpTransport}, and the protocols of its listeners. Limits that are omitted have
 * their defaults.
 */
export interface TcpTransportOptions extends Partial<TransportLimits> {
  /** Whether a listener speaks the native protocol. Default true. */
  readonly native?: boolean;
  /**
   * How a listener serves HTTP on the same port: Connect, gRPC and gRPC-Web. `false` turns it off.
   */
  readonly http?: HttpProtocolOptions | false;
  /**
   * How a listener serves go-micro clients on the same port (docs/go-micro.md). `false` turns it
   * off.
   */
  readonly goMicro?: GoMicroServeOptions | false;
  /**
   * Names that HTTP requests may use for a listener (`Host`, `:authority`), without a port, in
   * addition to `localhost` and loopback addresses; `*` accepts every name. On a loopback address
   * no other name is accepted, which protects against DNS rebinding; on other addresses every name
   * is accepted unless some are given here.
   */
  readonly hosts?: readonly string[];
  /** Uses TLS, and refuses connections without it, on either side. */
  readonly tls?: { readonly server?: ServerTlsOptions; readonly client?: ClientTlsOptions };
}

/**
 * Carries calls over TCP and unix sockets in the native protocol (docs/wire-protocol.md). Its
 * listeners also serve HTTP (docs/http.md) and go-micro (docs/go-micro.md) on the same port; each
 * is loaded with the first connection that uses it. Addresses are `host:port`, `[v6]:port`, `:port`
 * and `unix:/path`; `:port` listens on every interface and dials this machine. A unix socket file
 * that a dead process left behind is replaced, and the file is removed when the listener closes.
 *
 * @example
 * ```ts
 * import { createService, tcpTransport } from "@micro-es/runtime";
 *
 * const service = createService({
 *   name: "greeter",
 *   transports: [tcpTransport({ maxMessageBytes: 1024 * 1024, goMicro: false })],
 * });
 * ```
 */
export function tcpTransport(options: TcpTransportOptions = {}): Transport {
  checkOptions("tcpTransport", options, {
    ...limitKinds,
    hosts,
    native: flag,
    http: orFalse(serveHttp),
    goMicro: orFalse(serveGoMicro),
    tls,
  });
  const limits = resolveLimits(options);
  const { native = true, http = {}, goMicro = {} } = options;
  const { server: serverTls, client: clientTls } = options.tls ?? {};
  const protocols: PortProtocols = {
    native,
    others: [
      ...(goMicro === false ? [] : [goMicroProtocol(goMicro)]),
      ...(http === false ? [] : [httpProtocol({ goMicro: goMicro !== false, ...http })]),
    ],
    tls: serverTls,
    hosts: options.hosts,
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
    listenProtocol: listenProtocol(native, http, goMicro),
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
    ...servicePins(clientTls),
    verifies: (_address, service) => clientTls && tlsVerification(clientTls, service),
    dial: (address, dialOptions) => dial(address, limits, clientTls, dialOptions ?? {}),
    listen: (address, dispatcher, listenOptions) =>
      listenOnPort(address, dispatcher, limits, "tcp", protocols, listenOptions ?? {}),
  };
}

/** Returns the protocol that a node announces to clients: the first of these that is enabled. */
function listenProtocol(
  native: boolean,
  http: HttpProtocolOptions | false,
  goMicro: GoMicroServeOptions | false,
): string {
  if (native) return "native";
  if (http !== false && http.grpc !== false) return "grpc";
  if (http !== false && http.connect !== false) return "connect";
  if (http !== false && http.grpcWeb !== false) return "grpc-web";
  return goMicro === false ? "native" : "mucp";
}

async function dial(
  text: string,
  limits: TransportLimits,
  tls: ClientTlsOptions | undefined,
  options: DialOptions,
): Promise<Channel> {
  const address = readSocketAddress(text);
  if (address.kind === "host" && address.port === 0) {
    throw new MicroError("invalid_argument", `cannot dial ${text}: port 0 is not dialable`, {
      outcome: "not-executed",
    });
  }
  if (address.kind === "host") checkDialable(address.host);
  const { signal, deadline = Number.POSITIVE_INFINITY } = options;
  checkDial(text, options);

  const target =
    address.kind === "unix"
      ? { path: address.path }
      : {
          host: address.host || "localhost",
          port: address.port,
          noDelay: true,
          lookup: lookupDialable,
        };
  const host = address.kind === "unix" ? "localhost" : address.host || "localhost";
  const reads = new ReadBuffer();
  const reading = { ...target, onread: reads.onread };
  const secure = tls && (await connectSecurely(reading, host, tls, options.service));
  const socket = secure ?? connect(reading);
  const connection = new ClientConnection(socket, text, limits);
  if (secure !== undefined) {
    onServerExpiry(secure, tls ?? {}, (reason) => {
      connection.end(reason, true);
      secure.destroy();
    });
    onReplacedIdentity(tls ?? {}, connection.closed, () => connection.retire());
  }
  const patienceMs = remainingMs(deadline);
  reads.giveTo(connection);
  connection.greet();
  let givenUp: MicroError | undefined;
  const giveUp = (reason: MicroError) => {
    givenUp = reason;
    connection.end(reason);
    socket.destroy();
  };
  const stopListening = listenForAbort(signal, (reason) => giveUp(dialCancelled(text, reason)));
  // The connection enforces the handshake timeout itself.
  const timer =
    patienceMs < limits.handshakeTimeoutMs
      ? setTimeout(() => giveUp(dialTooLate(text)), Math.max(0, Math.ceil(patienceMs)))
      : undefined;
  try {
    await connection.ready;
    if (givenUp !== undefined) throw givenUp;
    return connection;
  } catch (reason) {
    throw givenUp ?? dialError(text, reason as MicroError);
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}

async function connectSecurely(
  target: NetConnectOpts,
  host: string,
  tls: ClientTlsOptions,
  service: string | undefined,
): Promise<TLSSocket> {
  const { connect: connectTls } = await import("node:tls");
  const options = connectOptions(tls, host, service);
  return connectTls({ ...target, ...options, ALPNProtocols: ["micro-es"] });
}

function dialError(text: string, reason: MicroError): MicroError {
  const denied = ["EACCES", "EPERM"].includes(codeOf(reason.cause) ?? "");
  return new MicroError(
    denied ? "permission_denied" : "unavailable",
    `cannot dial ${text}: ${reason.message}`,
    { outcome: "not-executed", cause: reason },
  );
}
