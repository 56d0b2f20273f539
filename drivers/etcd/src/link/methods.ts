import {
  create,
  type DescMessage,
  fromBinary,
  isMessage,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type Codec, type Method, MicroError } from "@micro-es/runtime";
import type { MethodKind } from "@micro-es/runtime/driver";
import {
  AuthenticateRequestSchema,
  AuthenticateResponseSchema,
  LeaseGrantRequestSchema,
  LeaseGrantResponseSchema,
  LeaseKeepAliveRequestSchema,
  LeaseKeepAliveResponseSchema,
  LeaseRevokeRequestSchema,
  LeaseRevokeResponseSchema,
  PutRequestSchema,
  PutResponseSchema,
  RangeRequestSchema,
  RangeResponseSchema,
  TxnRequestSchema,
  TxnResponseSchema,
  WatchRequestSchema,
  WatchResponseSchema,
} from "../gen/etcd/rpc_pb.ts";

/** An etcd method, by the types of its messages. */
export type EtcdMethod<I extends DescMessage, O extends DescMessage> = Method<
  MessageShape<I>,
  MessageInitShape<I>,
  MessageShape<O>,
  MessageInitShape<O>
>;

export const range: EtcdMethod<typeof RangeRequestSchema, typeof RangeResponseSchema> = methodOf(
  "KV/Range",
  RangeRequestSchema,
  RangeResponseSchema,
  true,
);
export const put: EtcdMethod<typeof PutRequestSchema, typeof PutResponseSchema> = methodOf(
  "KV/Put",
  PutRequestSchema,
  PutResponseSchema,
  true,
);
export const txn: EtcdMethod<typeof TxnRequestSchema, typeof TxnResponseSchema> = methodOf(
  "KV/Txn",
  TxnRequestSchema,
  TxnResponseSchema,
  false,
);
/** A transaction that changes nothing, so that it may be repeated. */
export const readTxn: EtcdMethod<typeof TxnRequestSchema, typeof TxnResponseSchema> = methodOf(
  "KV/Txn",
  TxnRequestSchema,
  TxnResponseSchema,
  true,
);
/** Not idempotent: a second grant of an id that exists is an error. */
export const leaseGrant: EtcdMethod<
  typeof LeaseGrantRequestSchema,
  typeof LeaseGrantResponseSchema
> = methodOf("Lease/LeaseGrant", LeaseGrantRequestSchema, LeaseGrantResponseSchema, false);
export const leaseRevoke: EtcdMethod<
  typeof LeaseRevokeRequestSchema,
  typeof LeaseRevokeResponseSchema
> = methodOf("Lease/LeaseRevoke", LeaseRevokeRequestSchema, LeaseRevokeResponseSchema, true);
export const leaseKeepAlive: EtcdMethod<
  typeof LeaseKeepAliveRequestSchema,
  typeof LeaseKeepAliveResponseSchema
> = methodOf(
  "Lease/LeaseKeepAlive",
  LeaseKeepAliveRequestSchema,
  LeaseKeepAliveResponseSchema,
  true,
  "bidi_streaming",
);
export const watch: EtcdMethod<typeof WatchRequestSchema, typeof WatchResponseSchema> = methodOf(
  "Watch/Watch",
  WatchRequestSchema,
  WatchResponseSchema,
  true,
  "bidi_streaming",
);
export const authenticate: EtcdMethod<
  typeof AuthenticateRequestSchema,
  typeof AuthenticateResponseSchema
> = methodOf("Auth/Authenticate", AuthenticateRequestSchema, AuthenticateResponseSchema, true);

/** @param idempotent whether a request with an unknown outcome may be repeated. */
function methodOf<I extends DescMessage, O extends DescMessage>(
  name: string,
  input: I,
  output: O,
  idempotent: boolean,
  kind: MethodKind = "unary",
): EtcdMethod<I, O> {
  return {
    service: "etcd",
    name: `etcdserverpb.${name}`,
    kind,
    input: codecOf(input),
    output: codecOf(output),
    idempotency: idempotent ? "idempotent" : "unknown",
  };
}

function codecOf<D extends DescMessage>(schema: D): Codec<MessageShape<D>, MessageInitShape<D>> {
  const invalid = (what: string, cause: unknown) =>
    new MicroError("invalid_argument", `cannot ${what} ${schema.typeName}`, { cause });
  return {
    typeName: schema.typeName,
    contentType: "application/protobuf",
    schema,
    encode(message) {
      try {
        return toBinary(schema, isMessage(message, schema) ? message : create(schema, message));
      } catch (cause) {
        throw invalid("encode", cause);
      }
    },
    decode(bytes, copyBytes = false) {
      try {
        return fromBinary(schema, copyBytes ? new Uint8Array(bytes) : bytes);
      } catch (cause) {
        throw invalid("decode", cause);
      }
    },
  };
}
