import { type Deadline, deadlineAfter } from "../base/deadline.ts";
import { MicroError } from "../base/error.ts";
import type { Identity } from "../call/account.ts";
import type { Awaitable, Peer } from "../call/call.ts";
import type { AnyMethod } from "../call/method.ts";
import { admitIdentity, credentialFrom, needsCredential } from "../transport/admission.ts";
import { unknownMethod } from "../transport/call-errors.ts";
import { errorText } from "../transport/go-micro-error.ts";
import type { CallAccess, Dispatcher, TransportLimits } from "../transport/transport.ts";
import type { BodyCodec, OpenedBody } from "./body-codec.ts";
import { bodyCodec } from "./body-codecs.ts";
import { readMetadata } from "./headers.ts";
import type { IncomingRequest } from "./incoming-call.ts";
import { type GoMicroMessage, headerName, line, type OutgoingHeader, values } from "./message.ts";

/** The content type that go-micro servers assume for a request without one. */
const defaultContentType = "application/protobuf";

/** A message that opens a call. */
export interface Opening {
  readonly message: GoMicroMessage;
  readonly peer: Peer;
  readonly deadline: Deadline;
}

/** The listener of a request. */
export interface RequestListener {
  /** Where it listens. */
  readonly address: string;
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
}

/** Returns when the caller of a request stops waiting. */
export function deadlineOf(message: GoMicroMessage): Deadline {
  const timeoutMs = nanosecondsToMs(
    line(message, headerName.timeout) || line(message, headerName.streamTimeout),
  );
  return timeoutMs === undefined ? Number.POSITIVE_INFINITY : deadlineAfter(timeoutMs);
}

/**
 * Returns who sends a request, once it is known that the caller may call its method. The body is
 * not read, unless it is an envelope with the name of the method.
 *
 * @throws MicroError that is the response to the call, `not-executed`.
 */
export function admitRequest(
  listener: RequestListener,
  { message, peer }: Opening,
): Awaitable<Identity | undefined> {
  const { access } = listener.dispatcher;
  if (access === undefined) return undefined;
  const authorization = message.header.get("authorization");
  const credential = credentialFrom(authorization === undefined ? [] : [authorization]);
  const caller = access.identify(credential, peer);
  return caller instanceof Promise
    ? caller.then((identity) => admitCaller(access, listener, message, identity, peer))
    : admitCaller(access, listener, message, caller, peer);
}

function admitCaller(
  access: CallAccess,
  listener: RequestListener,
  message: GoMicroMessage,
  identity: Identity | undefined,
  peer: Peer,
): Awaitable<Identity | undefined> {
  let method: AnyMethod | undefined;
  try {
    method = calledMethod(listener, message);
  } catch (reason) {
    if (identity === undefined) throw needsCredential();
    throw reason;
  }
  return method === undefined ? identity : admitIdentity(access, method, identity, peer);
}

function calledMethod(
  { dispatcher, limits }: RequestListener,
  message: GoMicroMessage,
): AnyMethod | undefined {
  const opened = isEnveloped(message) ? openBody(message, limits).opened : undefined;
  return dispatcher.methodOfEndpoint?.(endpointIn(message, opened), serviceIn(message));
}

/**
 * Reads the request of an admitted caller.
 * @throws MicroError if there is no such method, or the body cannot be one of its requests.
 */
export function openRequest(
  { dispatcher, address, limits }: RequestListener,
  { message, peer, deadline }: Opening,
  identity: Identity | undefined,
): IncomingRequest {
  const service = serviceIn(message);
  const { form, contentType, opened } = openBody(message, limits);
  const endpoint = endpointIn(message, opened);
  const method = dispatcher.methodOfEndpoint?.(endpoint, service);
  if (method === undefined) {
    const name = endpoint.replace(".", "/");
    throw dispatcher.unknownMethod?.(name, identity) ?? unknownMethod(endpoint, address);
  }
  const marks: OutgoingHeader = new Map();
  for (const name of [headerName.id, headerName.stream]) {
    const value = line(message, name);
    if (value !== "") marks.set(name, value);
  }
  return {
    method,
    form,
    contentType,
    opened: { ...opened, endpoint },
    peer,
    metadata: readMetadata(message),
    deadline,
    identity,
    marks,
  };
}

/**
 * Returns the body of an error without a call: callers that use envelopes expect the error there.
 */
export function refusalBody(message: GoMicroMessage, error: MicroError): Uint8Array {
  const form = isEnveloped(message) ? bodyCodec(contentTypeOf(message), true) : undefined;
  return form?.error(errorText(error, ""), { message: message.body }) ?? new Uint8Array(0);
}

function openBody(
  message: GoMicroMessage,
  { maxMessageElements }: TransportLimits,
): { readonly form: BodyCodec; readonly contentType: string; readonly opened: OpenedBody } {
  const contentType = contentTypeOf(message);
  const form = bodyCodec(contentType, isEnveloped(message));
  if (form === undefined) throw unknownForm(contentType);
  return { form, contentType, opened: form.open(message.body, maxMessageElements) };
}

function contentTypeOf(message: GoMicroMessage): string {
  return line(message, headerName.contentType) || defaultContentType;
}

function serviceIn(message: GoMicroMessage): string | undefined {
  return only("service", [...values(message, headerName.service)]);
}

function endpointIn(message: GoMicroMessage, opened: OpenedBody | undefined): string {
  const endpoint = only("endpoint", [
    ...values(message, headerName.endpoint),
    ...values(message, headerName.method),
    opened?.endpoint ?? "",
  ]);
  return endpoint ?? "";
}

/**
 * Returns a value that a request may state in several places. If they differ, a proxy may have
 * authorized another call than the one that would be made.
 *
 * @throws MicroError `invalid_argument`
 */
function only(what: string, said: readonly string[]): string | undefined {
  const [value, other] = new Set(said.filter((it) => it !== ""));
  if (other === undefined) return value;
  const names = [value, other].map((it) => JSON.stringify(it?.slice(0, 100))).join(" and ");
  throw new MicroError("invalid_argument", `the request names the ${what}s ${names}; name one`, {
    outcome: "not-executed",
  });
}

/**
 * Whether a request uses the envelope from before go-micro 1, which names the called method itself.
 */
function isEnveloped(message: GoMicroMessage): boolean {
  if (line(message, headerName.protocol) !== "") return false;
  if (line(message, headerName.target) !== "") return true;
  const { service, method, endpoint } = headerName;
  return [service, method, endpoint].every((name) => line(message, name) === "");
}

/** Parses a Go duration. A duration longer than a timer can hold is as good as none. */
function nanosecondsToMs(text: string): number | undefined {
  if (!/^\d{1,19}$/.test(text)) return undefined;
  const ms = Number(text) / 1e6;
  return ms > 0 ? ms : undefined;
}

function unknownForm(contentType: string): MicroError {
  return new MicroError(
    "unimplemented",
    `unsupported Content-Type: ${contentType.slice(0, 100)}; send application/json or application/protobuf`,
    { outcome: "not-executed" },
  );
}
