import { MicroError } from "../../base/error.ts";
import type { AnyMethod, MethodKind } from "../../call/method.ts";
import { bytesCodec } from "../../codec/bytes.ts";
import type { CallForm, RpcProtocol } from "./call-forms.ts";

const protocolNames: Readonly<Record<RpcProtocol, string>> = {
  connect: "Connect",
  grpc: "gRPC",
  grpcWeb: "gRPC-Web",
};

/** Returns the error for a call in a protocol that is switched off. */
export function protocolOff(protocol: RpcProtocol, address: string): MicroError {
  return switchedOff(protocolNames[protocol], address, `http.${protocol}`);
}

/** Returns the error for a request in a protocol that is switched off. */
export function switchedOff(protocol: string, address: string, option: string): MicroError {
  return new MicroError(
    "unimplemented",
    `${protocol} is switched off at ${address} (option ${option}, MICRO_PROTOCOLS)`,
    { outcome: "not-executed" },
  );
}

/** Returns the error for a call in JSON of a method whose messages have no descriptor. */
export function notInJson(method: AnyMethod): MicroError {
  return new MicroError(
    "unimplemented",
    `${method.name} cannot be called in JSON here, because its codecs have no descriptor; send application/proto`,
    { outcome: "not-executed" },
  );
}

/** Returns a method in place of one that is not served, for the call that is refused. */
export function methodInPlace(name: string, { enveloped }: Pick<CallForm, "enveloped">): AnyMethod {
  const kind: MethodKind = enveloped === undefined ? "unary" : "client_streaming";
  return {
    service: "",
    name,
    kind,
    input: bytesCodec,
    output: bytesCodec,
    idempotency: "unknown",
  };
}
