import type { MicroError } from "../../../base/error.ts";
import type { Metadata } from "../../../base/metadata.ts";
import { errorLines, groupLines, headerLines } from "../../http-headers.ts";
import type { Http2Stream } from "../../http2/stream.ts";
import { EnvelopedProtocol } from "../enveloped/enveloped-protocol.ts";
import { framed } from "../grpc/message-frame.ts";
import { errorJson } from "./connect-response.ts";

/** The flag of the end of a stream, which is JSON. */
const endFlag = 2;

/** The end of every response that is not an error and has no trailers. */
const successEnd = framed(endFlag, Buffer.from("{}"));

/** Connect's streams: the error and the trailers are JSON at the end of the body. */
export class ConnectStreamProtocol extends EnvelopedProtocol {
  constructor(contentType: string) {
    super(contentType, "connect-content-encoding");
  }

  end(stream: Http2Stream, error: MicroError | undefined, trailers: Metadata | undefined): void {
    const bytes =
      error === undefined && trailers === undefined ? successEnd : endOf(error, trailers);
    stream.send(bytes, 0, bytes.length, true);
  }

  failureFields(): undefined {
    return undefined;
  }
}

function endOf(error: MicroError | undefined, trailers: Metadata | undefined): Uint8Array {
  const lines = [...headerLines(trailers), ...(error === undefined ? [] : errorLines(error))];
  const end = {
    ...(error !== undefined && { error: errorJson(error) }),
    ...(lines.length > 0 && { metadata: Object.fromEntries(groupLines(lines)) }),
  };
  return framed(endFlag, Buffer.from(JSON.stringify(end)));
}
