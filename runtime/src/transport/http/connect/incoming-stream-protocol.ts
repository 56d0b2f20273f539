import type { MicroError } from "../../../base/error.ts";
import type { Metadata } from "../../../base/metadata.ts";
import { errorLines, groupLines, headerLines } from "../../http-headers.ts";
import { FramedEndProtocol } from "../enveloped/framed-end-protocol.ts";
import { framed } from "../enveloped/message-frame.ts";
import { errorJson } from "./connect-response.ts";

/** The flag of the end of a stream, which is JSON. */
const endFlag = 2;
const successEnd = framed(endFlag, Buffer.from("{}"));

/** Connect's streams: the error and the trailers are JSON at the end of the body. */
export class ConnectStreamProtocol extends FramedEndProtocol {
  protected readonly successEnd: Uint8Array = successEnd;

  constructor(contentType: string) {
    super(contentType, "connect-content-encoding");
  }

  protected endOf(error: MicroError | undefined, trailers: Metadata | undefined): Uint8Array {
    const lines = [...headerLines(trailers), ...(error === undefined ? [] : errorLines(error))];
    const end = {
      ...(error !== undefined && { error: errorJson(error) }),
      ...(lines.length > 0 && { metadata: Object.fromEntries(groupLines(lines)) }),
    };
    return framed(endFlag, Buffer.from(JSON.stringify(end)));
  }
}
