import { ConnectStreamProtocol } from "./connect/incoming-stream-protocol.ts";
import type { Encoding } from "./encoding.ts";
import type { EnvelopedProtocol } from "./enveloped/enveloped-protocol.ts";
import { GrpcProtocol } from "./grpc/incoming-grpc-protocol.ts";
import { GrpcWebProtocol } from "./grpc/incoming-grpc-web-protocol.ts";

/** A protocol, by the name of the option that switches it off. */
export type RpcProtocol = "connect" | "grpc" | "grpcWeb";

/** What the content type of a request says about its call. */
export interface CallForm {
  readonly protocol: RpcProtocol;
  readonly encoding: Encoding;
  /** How the response is written; undefined for a body that is one message. */
  readonly enveloped: EnvelopedProtocol | undefined;
}

type TypedForm = readonly [contentType: string, form: CallForm];

/** The form of calls by the content type of their requests. */
const callForms: ReadonlyMap<string, CallForm> = new Map([
  ...grpcForms("application/grpc", "grpc", GrpcProtocol),
  ...grpcForms("application/grpc-web", "grpcWeb", GrpcWebProtocol),
  connectForm("application/proto", "binary"),
  connectForm("application/json", "json"),
  connectStreamForm("application/connect+proto", "binary"),
  connectStreamForm("application/connect+json", "json"),
]);

/** Returns the form of a call; undefined if no protocol has this content type. */
export function callFormOf(contentType: string): CallForm | undefined {
  return callForms.get(contentType) ?? callForms.get(plainType(contentType));
}

/** Returns a content type in lower case, without the only character set that JSON may have. */
function plainType(contentType: string): string {
  const type = contentType.toLowerCase();
  return /^([\w/+-]+json)[ \t]*;[ \t]*charset=(?:utf-?8|"utf-?8")$/.exec(type)?.[1] ?? type;
}

function grpcForms(
  type: string,
  protocol: RpcProtocol,
  Protocol: new (contentType: string) => EnvelopedProtocol,
): TypedForm[] {
  const binaryType = `${type}+proto`;
  const jsonType = `${type}+json`;
  const binary: CallForm = { protocol, encoding: "binary", enveloped: new Protocol(binaryType) };
  const json: CallForm = { protocol, encoding: "json", enveloped: new Protocol(jsonType) };
  return [
    [type, binary],
    [binaryType, binary],
    [jsonType, json],
  ];
}

function connectForm(type: string, encoding: Encoding): TypedForm {
  return [type, { protocol: "connect", encoding, enveloped: undefined }];
}

function connectStreamForm(type: string, encoding: Encoding): TypedForm {
  return [type, { protocol: "connect", encoding, enveloped: new ConnectStreamProtocol(type) }];
}
