import type { HttpCallOptions } from "../call-options.ts";
import type { Encoding } from "../encoding.ts";
import type { CallProtocol } from "./call-protocol.ts";
import { connectStreamProtocol, connectUnaryProtocol } from "./connect-protocol.ts";
import { grpcProtocol } from "./grpc-protocol.ts";
import { grpcWebProtocol } from "./grpc-web-protocol.ts";

/** The protocols of the calls of one channel. */
export interface CallProtocols {
  readonly unary: CallProtocol;
  readonly streams: CallProtocol;
}

/** Returns the protocols by which methods are called, with messages in this encoding. */
export function callProtocols(
  protocol: HttpCallOptions["protocol"],
  encoding: Encoding,
): CallProtocols {
  if (protocol === "connect") {
    return { unary: connectUnaryProtocol(encoding), streams: connectStreamProtocol(encoding) };
  }
  const both = protocol === "grpc" ? grpcProtocol(encoding) : grpcWebProtocol(encoding);
  return { unary: both, streams: both };
}
