/**
 * The protocols that one port of {@link tcpTransport} can speak, as `MICRO_PROTOCOLS` names them.
 */
export const protocolNames = ["native", "connect", "grpc", "grpc-web", "go-micro"] as const;

export type ProtocolName = (typeof protocolNames)[number];

interface ProtocolOptions {
  readonly native: boolean;
  readonly http: { readonly connect: boolean; readonly grpc: boolean; readonly grpcWeb: boolean };
  readonly goMicro?: false;
}

/**
 * Returns the options of `tcpTransport` that enable only these protocols. Health probes are always
 * served.
 */
export function onlyProtocols(names: readonly ProtocolName[]): ProtocolOptions {
  const speaks = (name: ProtocolName) => names.includes(name);
  return {
    native: speaks("native"),
    http: { connect: speaks("connect"), grpc: speaks("grpc"), grpcWeb: speaks("grpc-web") },
    ...(speaks("go-micro") ? {} : { goMicro: false }),
  };
}
