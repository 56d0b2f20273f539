import { Buffer } from "node:buffer";
import type { MsgHdrs, NatsConnection } from "nats";

/** Properties of the library's connection that its type lacks. */
interface Protocol {
  readonly info?: { readonly headers?: boolean; readonly max_payload: number };
  outBytes: number;
  outMsgs: number;
  /** Writes bytes by the end of the turn. */
  sendCommand?(bytes: Uint8Array): void;
}

/** Headers by their text: of headers that it sends, the library requires nothing but `encode`. */
export function encodedHeaders(text: string): MsgHdrs {
  return { encode: () => Buffer.from(text, "latin1") } as unknown as MsgHdrs;
}

/**
 * Publishes a message with headers, in ASCII. The library would write the command, headers, data
 * and end as a buffer each, which takes more time than all else that is done with an event.
 * @throws the library's error.
 */
export function publishMessage(
  connection: NatsConnection,
  subject: string,
  headers: string,
  data: Uint8Array,
  reply = "",
): void {
  const { protocol } = connection as NatsConnection & { readonly protocol?: Protocol };
  const length = headers.length + data.length;
  if (
    protocol?.sendCommand === undefined ||
    protocol.info?.headers !== true ||
    length > Math.min(protocol.info.max_payload, longestBuffered) ||
    connection.isClosed() ||
    connection.isDraining()
  ) {
    connection.publish(subject, data, { headers: encodedHeaders(headers), reply });
    return;
  }
  const to = reply === "" ? "" : `${reply} `;
  const text = `HPUB ${subject} ${to}${headers.length} ${length}\r\n${headers}`;
  const frame = Buffer.allocUnsafe(text.length + data.length + crlf);
  let at = frame.write(text, "latin1");
  frame.set(data, at);
  at += data.length;
  frame[at] = 0x0d;
  frame[at + 1] = 0x0a;
  protocol.outBytes += length;
  protocol.outMsgs++;
  protocol.sendCommand(frame);
}

/** Messages that are written into one buffer; larger ones are left to the library. */
const longestBuffered = 16 * 1024;
const crlf = 2;
