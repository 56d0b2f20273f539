import type { HeaderField } from "../http2/hpack/header-field.ts";
import type { HeaderList } from "../http2/hpack/header-list.ts";
import type { MessageHead } from "../http2/message-head.ts";
import { type CallForm, callForms } from "./call-forms.ts";
import { compressionFor } from "./compression/algorithms.ts";
import { canInflate } from "./compression/inflation.ts";
import { getCall } from "./connect/connect-get.ts";
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
 * Reads the header of a call; undefined for any other request, and for unusual content types. A
 * list that repeats is read once.
 */
export function rpcRequest(head: MessageHead, list: HeaderList): RpcRequest | undefined {
  const known = list.note as RpcRequest | undefined;
  if (known !== undefined) return known;
  const read = head.method === "GET" ? readGet(head, list) : readPost(head, list);
  list.note = read;
  return read;
}

function readPost(head: MessageHead, list: HeaderList): RpcRequest | undefined {
  const form = head.method === "POST" ? callForms.get(list.get("content-type")) : undefined;
  return form === undefined ? undefined : readRequest(form, head, list);
}

function readGet(head: MessageHead, list: HeaderList): RpcRequest | undefined {
  const call = getCall(head.path);
  if (call === undefined) return undefined;
  const { path, encoding, message } = call;
  const form: CallForm = { protocol: "connect", encoding, enveloped: undefined };
  // The content coding of a GET is one of its parameters.
  return { ...readRequest(form, { ...head, path }, list), coding: undefined, message };
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
    message: undefined,
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
