import type { HeaderField } from "../http2/hpack/header-field.ts";
import type { HeaderList } from "../http2/hpack/header-list.ts";
import type { MessageHead } from "../http2/message-head.ts";
import { type CallForm, callForms } from "./call-forms.ts";
import { compressionFor } from "./compression/algorithms.ts";
import { canInflate } from "./compression/inflation.ts";
import { connectStreamFields, connectUnaryFields } from "./connect/connect-request.ts";
import { grpcFields } from "./grpc/grpc-request.ts";
import type { CallHeader } from "./http2-call.ts";
import { type ProtocolFields, type RequestHeader, readRequestHeader } from "./request-header.ts";

/** The header of a call over HTTP/2, in any protocol. */
export interface RpcRequest extends RequestHeader, CallForm, CallHeader {
  /** Whether the listener accepts it as it is; undefined until that was asked. */
  isAccepted: boolean | undefined;
  responseFields: readonly HeaderField[];
}

const noFields: readonly HeaderField[] = [];

/**
 * Reads the header of a call; undefined if it is none, or its form is not a usual one. A list that
 * repeats is read once.
 */
export function rpcRequest(head: MessageHead, list: HeaderList): RpcRequest | undefined {
  const known = list.note as RpcRequest | undefined;
  if (known !== undefined) return known;
  const form = head.method === "POST" ? callForms.get(list.get("content-type")) : undefined;
  if (form === undefined) return undefined;
  const read = readRequest(form, head, list);
  list.note = read;
  return read;
}

function readRequest(form: CallForm, head: MessageHead, list: HeaderList): RpcRequest {
  const common = readRequestHeader(head, list.fields.slice(head.firstField));
  const { timeoutMs, isKnownVersion, ...codings } = protocolFields(form, list);
  const coding = named(codings.coding);
  return {
    ...common,
    ...form,
    isPlain:
      common.isPlain &&
      isKnownVersion &&
      timeoutMs >= 0 &&
      (coding === undefined || canInflate(coding)),
    isAccepted: undefined,
    timeoutMs,
    coding,
    // A caller that compresses requests accepts responses that are compressed alike.
    compression: compressionFor(codings.accepted?.toLowerCase() || coding),
    responseFields: noFields,
  };
}

function protocolFields({ protocol, enveloped }: CallForm, list: HeaderList): ProtocolFields {
  if (protocol !== "connect") return grpcFields(list);
  return enveloped === undefined ? connectUnaryFields(list) : connectStreamFields(list);
}

function named(coding: string | undefined): string | undefined {
  const name = coding?.toLowerCase();
  return name === "" || name === "identity" ? undefined : name;
}
