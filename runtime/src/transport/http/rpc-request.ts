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
import { RecentRequests } from "./recent-requests.ts";
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

/** Reads the headers of the calls of one connection. */
export class RpcRequests {
  readonly #recent = new RecentRequests<RpcRequest>();

  /**
   * Reads the header of a call; undefined for any other request. A list that repeats is read once,
   * and so is one that differs from an earlier one by its timeout.
   */
  read(head: MessageHead, list: HeaderList): RpcRequest | undefined {
    const known = list.note as RpcRequest | undefined;
    if (known !== undefined) return known;
    const read = head.method === "GET" ? readGet(head, list) : this.#readPost(head, list);
    list.note = read;
    return read;
  }

  #readPost(head: MessageHead, list: HeaderList): RpcRequest | undefined {
    if (head.method !== "POST") return undefined;
    const recent = this.#recent.find(head.path, list.fields);
    if (recent !== undefined) return recent;
    const type = list.get("content-type");
    const form = type === undefined ? undefined : callFormOf(type);
    if (form === undefined) return undefined;
    const request = readRequest(form, head, pathOf(head), list);
    if (request.problem === undefined) this.#recent.add(head.path, list.fields, request);
    return request;
  }
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
  const request = readRequest(form, head, path, list);
  if (problem === undefined) return { ...request, message };
  return { ...request, message, problem: refused("invalid_argument", problem) };
}

function readRequest(
  form: CallForm,
  head: MessageHead,
  path: string,
  list: HeaderList,
): RpcRequest {
  const { authority, contentLength, method } = head;
  const common = readRequestHeader(path, authority, list.fields.slice(head.firstField));
  const { timeoutMs, coding: stated, accepted, acceptName } = protocolFields(form, list);
  // The content coding of a GET is one of its parameters.
  const coding = method === "GET" ? undefined : named(stated);
  const isUnknown = coding !== undefined && !canInflate(coding);
  const otherConnect = form.protocol === "connect" ? otherVersion(list) : undefined;
  const problem =
    timeoutMs < 0
      ? refused("invalid_argument", "the timeout of the request is malformed")
      : otherConnect !== undefined
        ? refused("invalid_argument", otherConnect)
        : isUnknown
          ? refused("unimplemented", unknownCoding(coding))
          : common.metadataError;
  // Spreading the parts would take longer than reading them.
  return {
    name: common.name,
    hosts: common.hosts,
    origin: common.origin,
    fetchSite: common.fetchSite,
    metadata: common.metadata,
    metadataError: common.metadataError,
    credential: common.credential,
    isProper: common.isProper,
    isOfGoMicro: common.isOfGoMicro,
    expectsContinue: common.expectsContinue,
    protocol: form.protocol,
    encoding: form.encoding,
    enveloped: form.enveloped,
    problem,
    isAccepted: undefined,
    isGoMicro: false,
    timeoutMs: timeoutMs < 0 ? Number.POSITIVE_INFINITY : timeoutMs,
    coding,
    contentLength,
    isGet: method === "GET",
    message: undefined,
    // A caller that compresses requests accepts responses that are compressed alike.
    compression: compressionFor(accepted?.toLowerCase() || coding),
    responseFields: isUnknown ? [new HeaderField(acceptName, compressionNames)] : [],
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
