import type { MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import {
  Compare_CompareTarget,
  type CompareSchema,
  type RequestOpSchema,
  type TxnResponseSchema,
} from "../gen/etcd/rpc_pb.ts";

type Compare = MessageInitShape<typeof CompareSchema>;
/** A part of a transaction. */
export type Operation = MessageInitShape<typeof RequestOpSchema>;

/** The response to a transaction. */
export type TxnResponse = MessageShape<typeof TxnResponseSchema>;

/** Holds if a key was last written at this revision; 0 if it does not exist. */
export function atRevision(key: Uint8Array, revision: bigint): Compare {
  const targetUnion = { case: "modRevision" as const, value: revision };
  return { key, target: Compare_CompareTarget.MOD, targetUnion };
}

export function rangeOperation(key: Uint8Array): Operation {
  return { request: { case: "requestRange", value: { key } } };
}

/** @param lease that the key ends with; 0 for none. */
export function putOperation(key: Uint8Array, value: Uint8Array, lease = 0n): Operation {
  return { request: { case: "requestPut", value: { key, value, lease } } };
}

/** Its response has the key that was deleted, with its value. */
export function deleteOperation(key: Uint8Array): Operation {
  return { request: { case: "requestDeleteRange", value: { key, prevKv: true } } };
}
