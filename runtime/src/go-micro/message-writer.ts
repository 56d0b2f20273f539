import type { OutgoingHeader } from "./message.ts";

/**
 * Encodes a message as HTTP. An empty body is announced as such: go-micro reads a response without
 * a length until the connection ends.
 */
function encode(first: string, header: OutgoingHeader, body: Uint8Array): Buffer {
  let text = first;
  for (const [name, value] of header) text += `${name}: ${oneLine(value)}\r\n`;
  const head = Buffer.from(`${text}Content-Length: ${body.length}\r\n\r\n`);
  return body.length === 0 ? head : Buffer.concat([head, body]);
}

/**
 * Encodes a message from a client.
 * @param host the address that was dialed.
 */
export function encodeRequest(host: string, header: OutgoingHeader, body: Uint8Array): Buffer {
  return encode(`POST / HTTP/1.1\r\nHost: ${host}\r\n`, header, body);
}

/** Encodes a message from a server. Errors, too, have status 200. */
export function encodeResponse(header: OutgoingHeader, body: Uint8Array): Buffer {
  return encode("HTTP/1.1 200 OK\r\n", header, body);
}

/** Encodes a response to a message that is not from go-micro. */
export function encodeRefusal(status: string, text: string): Buffer {
  const body = Buffer.from(`${text}\n`);
  const head = `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** Converts a value to the form that Node's HTTP writes: the bytes of its UTF-8. */
export function writableHeader(value: string): string {
  return Buffer.from(oneLine(value)).toString("latin1");
}

/** Sanitizes a value as Go does: a line break would begin another line. */
function oneLine(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not go out
  return value.replace(/[\x00-\x1f\x7f]/g, " ").trim();
}
