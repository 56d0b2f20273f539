import type { HeaderList } from "./hpack/header-list.ts";

/**
 * The head of a message: what its pseudo-header fields and its length say. Fields that it does not
 * have are empty.
 */
export interface MessageHead {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  /** 0 for a request. */
  readonly status: number;
  /** The announced length of the body; -1 if there is none. */
  readonly contentLength: number;
  /** Index of the first field that is not a pseudo-header field. */
  readonly firstField: number;
}

/** Fields of HTTP/1.1 that describe a connection. */
const ofConnection: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** Whether a field describes a connection of HTTP/1.1, and must not be sent. */
export function isOfConnection(name: string): boolean {
  return ofConnection.has(name);
}

const pseudoFields: Readonly<Record<"request" | "response" | "trailers", readonly string[]>> = {
  request: [":method", ":scheme", ":authority", ":path"],
  response: [":status"],
  trailers: [],
};
const maxLengthDigits = 15;

/** What a list was examined as. The same list may arrive as a request and as trailers. */
type Role = "request" | "response" | "trailers";

interface Memo {
  readonly role: Role;
  readonly head: MessageHead | undefined;
}

/**
 * Checks the header of a request, of a response, or trailers (RFC 9113 section 8). Returns
 * undefined if it is malformed. A list that repeats is checked once.
 */
export function messageHead(list: HeaderList, role: Role): MessageHead | undefined {
  let memo = list.memo as Memo | undefined;
  if (memo?.role !== role) {
    const head = readHead(list, pseudoFields[role]);
    memo = { role, head: head !== undefined && isComplete(head, role) ? head : undefined };
    list.memo = memo;
  }
  return memo.head;
}

function isComplete(head: MessageHead, role: Role): boolean {
  if (role === "response") return head.status >= 100;
  return role === "trailers" || isRequest(head);
}

function isRequest({ method, scheme, authority, path }: MessageHead): boolean {
  if (method === "CONNECT") return authority !== "" && scheme === "" && path === "";
  if (method === "" || scheme === "") return false;
  return path.startsWith("/") || (path === "*" && method === "OPTIONS");
}

function readHead(list: HeaderList, allowed: readonly string[]): MessageHead | undefined {
  if (!list.isValid) return undefined;
  const values: (string | undefined)[] = [];
  let contentLength = -1;
  let firstField = -1;
  for (const [index, { name, value }] of list.fields.entries()) {
    if (name.startsWith(":")) {
      const place = allowed.indexOf(name);
      if (place < 0 || values[place] !== undefined || firstField >= 0) return undefined;
      values[place] = value;
      continue;
    }
    if (firstField < 0) firstField = index;
    if (ofConnection.has(name) || (name === "te" && value !== "trailers")) return undefined;
    if (name !== "content-length") continue;
    const length = lengthOf(value);
    if (length < 0 || (contentLength >= 0 && contentLength !== length)) return undefined;
    contentLength = length;
  }
  const isResponse = allowed === pseudoFields.response;
  return {
    method: isResponse ? "" : (values[0] ?? ""),
    scheme: values[1] ?? "",
    authority: values[2] ?? "",
    path: values[3] ?? "",
    status: isResponse ? statusOf(values[0] ?? "") : 0,
    contentLength,
    firstField: firstField < 0 ? list.fields.length : firstField,
  };
}

function lengthOf(value: string): number {
  return value.length <= maxLengthDigits && /^[0-9]+$/.test(value) ? Number(value) : -1;
}

function statusOf(value: string): number {
  return /^[1-9][0-9][0-9]$/.test(value) ? Number(value) : 0;
}
