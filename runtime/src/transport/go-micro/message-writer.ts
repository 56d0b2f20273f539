import type { OutgoingHeader } from "./message.ts";

/** A message as HTTP has it. An empty body is said to be so: go-micro reads an answer without a length to the end. */
function encode(first: string, header: OutgoingHeader, body: Uint8Array): Buffer {
  let text = first;
  for (const [name, value] of header) text += `${name}: ${oneLine(value)}\r\n`;
  const head = Buffer.from(`${text}Content-Length: ${body.length}\r\n\r\n`);
  return body.length === 0 ? head : Buffer.concat([head, body]);
}

/** A message from a client. @param host the address that was dialled. */
export function encodeRequest(host: string, header: OutgoingHeader, body: Uint8Array): Buffer {
  return encode(`POST / HTTP/1.1\r\nHost: ${host}\r\n`, header, body);
}

/** A message from a server. Errors, too, have the status 200. */
export function encodeAnswer(header: OutgoingHeader, body: Uint8Array): Buffer {
  return encode("HTTP/1.1 200 OK\r\n", header, body);
}

/** An answer to what is no message of go-micro's. */
export function encodeRefusal(status: string, text: string): Buffer {
  const body = Buffer.from(`${text}\n`);
  const head = `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** As Go writes values: a line break would begin another line. */
function oneLine(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not go out
  return value.replace(/[\x00-\x1f\x7f]/g, " ").trim();
}
