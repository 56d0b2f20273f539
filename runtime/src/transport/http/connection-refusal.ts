import { constants } from "node:http2";
import type { WireProtocol } from "../front.ts";

/** What a connection is told that is not served: that it may come again, and why not now. */
export function refusalOf(protocol: WireProtocol, why: string): Buffer {
  if (protocol !== "http2") {
    const lines = [
      "HTTP/1.1 503 Service Unavailable",
      "connection: close",
      "content-type: text/plain; charset=utf-8",
      `content-length: ${Buffer.byteLength(why)}`,
    ];
    return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${why}`);
  }
  const settings = frame(4, Buffer.alloc(0));
  const goaway = Buffer.alloc(8);
  goaway.writeUInt32BE(constants.NGHTTP2_ENHANCE_YOUR_CALM, 4);
  return Buffer.concat([settings, frame(7, Buffer.concat([goaway, Buffer.from(why)]))]);
}

/** A frame of HTTP/2 that concerns the whole connection. */
function frame(type: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  return Buffer.concat([header, payload]);
}
