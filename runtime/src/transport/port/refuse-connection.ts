import { constants } from "node:http2";
import type { WireProtocol } from "./protocol-server.ts";

/** Returns the refusal for a connection that may be retried later, with the reason. */
export function refusalOf(protocol: WireProtocol, why: string): Buffer {
  return protocol === "http2"
    ? http2Refusal(constants.NGHTTP2_ENHANCE_YOUR_CALM, why)
    : http1Refusal("503 Service Unavailable", why);
}

/** Returns the refusal for a connection whose protocol is not enabled. */
export function protocolRefusal(protocol: WireProtocol, why: string): Buffer {
  return protocol === "http2"
    ? http2Refusal(constants.NGHTTP2_PROTOCOL_ERROR, why)
    : http1Refusal("501 Not Implemented", why);
}

function http1Refusal(status: string, why: string): Buffer {
  const lines = [
    `HTTP/1.1 ${status}`,
    "connection: close",
    "content-type: text/plain; charset=utf-8",
    `content-length: ${Buffer.byteLength(why)}`,
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${why}`);
}

function http2Refusal(code: number, why: string): Buffer {
  const settings = frame(4, Buffer.alloc(0));
  return Buffer.concat([settings, goawayFrame(code, why)]);
}

/**
 * Builds a GOAWAY frame (RFC 9113, 6.8): the error code, a reason for people, and the last stream
 * that was processed.
 */
export function goawayFrame(code: number, why: string, lastStream = 0): Buffer {
  const fields = Buffer.alloc(8);
  fields.writeUInt32BE(lastStream);
  fields.writeUInt32BE(code, 4);
  return frame(7, Buffer.concat([fields, Buffer.from(why)]));
}

/** Builds an HTTP/2 frame that concerns the whole connection. */
function frame(type: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  return Buffer.concat([header, payload]);
}
