import type { UniversalClientFn, UniversalClientResponse } from "@connectrpc/connect/protocol";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { isName, isValue } from "./end-fields.ts";
import { type EndForm, repairEnd } from "./response-end.ts";
import { decodeStatusText } from "./status-text.ts";

const statusName = "grpc-status";
const messageName = "grpc-message";
const detailsName = "grpc-status-details-bin";
/** The number of `unknown`, for a status that gRPC does not define. */
const unknownNumber = "2";

/**
 * Makes request timeouts readable for servers, and the status of responses readable for Connect,
 * which would otherwise lose it: a `grpc-message` that is not percent-encoded, details that cannot
 * be decoded or contradict the status, and a status that is not a number.
 */
export function repairStatus(
  send: UniversalClientFn,
  protocol: "grpc" | "grpc-web",
): UniversalClientFn {
  return async (request) => {
    fitTimeout(request.header);
    const response = await send(request);
    const { header, trailer } = response;
    const body = header.has(statusName) ? await behindStatus(response) : response.body;
    repair(header);
    if (protocol === "grpc") return { ...response, body: thenRepair(body, trailer) };
    const isOver = header.has(statusName);
    const isWeb = /^application\/grpc-web/i.test(header.get("content-type") ?? "");
    return isWeb && !isOver
      ? { ...response, body: repairEnd(body, webEnd) }
      : { ...response, body };
  };
}

/**
 * Returns the body of a response that has a status in its header. Only a response without a body
 * has it there. With a body or trailers, the status of the header is dropped, because it was sent
 * before the outcome of the call was known.
 */
async function behindStatus({
  header,
  trailer,
  body,
}: UniversalClientResponse): Promise<AsyncIterable<Uint8Array>> {
  const pieces = body[Symbol.asyncIterator]();
  let first = await pieces.next();
  while (first.done !== true && first.value.length === 0) first = await pieces.next();
  if (first.done === true && !trailer.has(statusName)) return nothing();
  for (const name of [statusName, messageName, detailsName]) header.delete(name);
  return first.done === true ? nothing() : startingWith(first.value, pieces);
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(0);
}

async function* startingWith(
  first: Uint8Array,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield first;
  yield* { [Symbol.asyncIterator]: () => rest };
}

/**
 * Clamps a timeout to the eight digits that gRPC allows; Connect writes as many milliseconds as
 * there are.
 */
function fitTimeout(header: Headers): void {
  const ms = /^(\d{9,})m$/.exec(header.get("grpc-timeout") ?? "")?.[1];
  if (ms !== undefined) header.set("grpc-timeout", `${Math.ceil(Number(ms) / 1_000)}S`);
}

/** Passes a body on, and repairs the trailers at its end, when they are complete. */
async function* thenRepair(
  body: AsyncIterable<Uint8Array>,
  trailer: Headers,
): AsyncGenerator<Uint8Array> {
  yield* body;
  repair(trailer);
}

/** gRPC-Web sends its trailers in the body, as lines. */
const webEnd: EndForm = {
  flag: 0x80,
  repair(payload) {
    const trailers = new Headers();
    for (const line of payload.toString().split(/\r?\n/)) {
      const colon = line.indexOf(":");
      const name = line.slice(0, Math.max(0, colon)).trim();
      const value = line.slice(colon + 1).trim();
      const text = name.toLowerCase() === messageName ? encodeOdd(value) : value;
      if (isName(name) && isValue(text)) trailers.append(name, text);
    }
    repair(trailers);
    return [...trailers].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  },
};

/** Percent-encodes characters that a header line cannot hold. */
function encodeOdd(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, encodeURIComponent);
}

function repair(headers: Headers): void {
  const status = headers.get(statusName);
  if (status === null || status === "0") {
    // Connect would treat error details as an error; they mean nothing next to a status of success.
    if (status === "0") headers.delete(detailsName);
    return;
  }
  const message = headers.get(messageName) ?? "";
  const decoded = decodeStatusText(message);
  const isStatus = /^(?:[1-9]|1[0-6])$/.test(status);
  if (!isStatus) headers.set(statusName, unknownNumber);
  const text = isStatus
    ? decoded
    : `invalid grpc-status ${JSON.stringify(status.slice(0, 20))}: ${decoded}`;
  headers.set(messageName, encodeURIComponent(text));
  if (!agrees(headers.get(detailsName), Number(isStatus ? status : unknownNumber)))
    headers.delete(detailsName);
}

/** Whether details can be decoded and belong to this status. */
function agrees(details: string | null, status: number): boolean {
  if (details === null) return true;
  try {
    return findTrailerError(new Headers([[detailsName, details]]))?.code === status;
  } catch {
    return false;
  }
}
