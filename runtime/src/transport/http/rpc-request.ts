import { MicroError } from "../../base/error.ts";
import { HeaderField } from "../http2/hpack/header-field.ts";
import type { HeaderList } from "../http2/hpack/header-list.ts";
import type { MessageHead } from "../http2/message-head.ts";
import { type CallForm, callFormOf } from "./call-forms.ts";
import { compressionFor, compressionNames } from "./compression/algorithms.ts";
import { canInflate } from "./compression/inflation.ts";
import { getCall } from "./connect/connect-get.ts";
import {
  connectStreamFields,
  connectUnaryFields,
  otherVersion,
} from "./connect/connect-request.ts";
import { grpcFields } from "./grpc/grpc-request.ts";
import type { CallHeader } from "./incoming-call.ts";
import { type ProtocolFields, type RequestHeader, readRequestHeader } from "./request-header.ts";

/** The header of a call, in any protocol. */
export interface RpcRequest extends RequestHeader, CallForm, CallHeader {
  /** Why the call is refused, whatever its method; undefined if it is not. */
  readonly problem: MicroError | undefined;
  /** Whether it is for the dispatcher; undefined until that was asked. */
  isAccepted: boolean | undefined;
  isGoMicro: boolean;
  responseFields: readonly HeaderField[];
}

/**
 * Reads the header of a call; undefined for any other request. A list that repeats is read once.
 */
export function rpcRequest(head: MessageHead, list: HeaderList): RpcRequest | undefined {
  const known = list.note as RpcRequest | undefined;
  if (known !== undefined) return known;
  const read = head.method === "GET" ? readGet(head, list) : readPost(head, list);
  list.note = read;
  return read;
}

function readPost(head: MessageHead, list: HeaderList): RpcRequest | undefined {
  const type = head.method === "POST" ? list.get("content-type") : undefined;
  const form = type === undefined ? undefined : callFormOf(type);
  return form === undefined ? undefined : readRequest(form, { ...head, path: pathOf(head) }, list);
}

/** The path without a query, which only a GET has a use for. */
function pathOf({ path }: MessageHead): string {
  const question = path.indexOf("?");
  return question === -1 ? path : path.slice(0, question);
}

function readGet(head: MessageHead, list: HeaderList): RpcRequest | undefined {
  const call = getCall(head.path);
  if (call === undefined) return undefined;
  const { path, encoding, message, problem } = call;
  const form: CallForm = { protocol: "connect", encoding, enveloped: undefined };
  const request = readRequest(form, { ...head, path }, list);
  if (problem === undefined) return { ...request, message };
  return { ...request, message, problem: refused("invalid_argument", problem) };
}

function readRequest(form: CallForm, head: MessageHead, list: HeaderList): RpcRequest {
  const common = readRequestHeader(head, list.fields.slice(head.firstField));
  const { timeoutMs, ...codings } = protocolFields(form, list);
  // The content coding of a GET is one of its parameters.
  const coding = head.method === "GET" ? undefined : named(codings.coding);
  const isUnknown = coding !== undefined && !canInflate(coding);
  const otherConnect = form.protocol === "connect" ? otherVersion(list) : undefined;
  return {
    ...common,
    ...form,
    problem:
      timeoutMs < 0
        ? refused("invalid_argument", "the timeout of the request is malformed")
        : otherConnect !== undefined
          ? refused("invalid_argument", otherConnect)
          : isUnknown
            ? refused("unimplemented", unknownCoding(coding))
            : common.metadataError,
    isAccepted: undefined,
    isGoMicro: false,
    timeoutMs: timeoutMs < 0 ? Number.POSITIVE_INFINITY : timeoutMs,
    coding,
    contentLength: head.contentLength,
    isGet: head.method === "GET",
    message: undefined,
    // A caller that compresses requests accepts responses that are compressed alike.
    compression: compressionFor(codings.accepted?.toLowerCase() || coding),
    responseFields: isUnknown ? [new HeaderField(codings.acceptName, compressionNames)] : [],
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

function unknownCoding(coding: string): string {
  const name = JSON.stringify(coding.slice(0, 64));
  return `the request is compressed by ${name}, and this server knows ${compressionNames}`;
}

function refused(code: "invalid_argument" | "unimplemented", message: string): MicroError {
  return new MicroError(code, message, { outcome: "not-executed" });
}
