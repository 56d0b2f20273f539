import type { MicroError } from "../../../base/error.ts";
import type { Metadata } from "../../../base/metadata.ts";
import type { HeaderField } from "../../http2/hpack/header-field.ts";
import type { Http2Stream } from "../../http2/stream.ts";
import { EnvelopedProtocol } from "../enveloped/enveloped-protocol.ts";
import { metadataFields, statusFields } from "./grpc-response.ts";
import { framed } from "./message-frame.ts";

/** The flag of the trailers, which follow the last message. */
const trailersFlag = 0x80;

/** The end of every response that is not an error and has no trailers of its own. */
const successEnd = trailersFrame("grpc-status: 0\r\n");

/** gRPC-Web: the status is at the end of the body, because browsers do not read trailers. */
export class GrpcWebProtocol extends EnvelopedProtocol {
  constructor(contentType: string) {
    super(contentType, "grpc-encoding");
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
  const status = error === undefined ? "grpc-status: 0\r\n" : textOf(statusFields(error));
  return trailersFrame(status + textOf(metadataFields(trailers)));
}

function textOf(fields: readonly HeaderField[]): string {
  return fields.map(({ name, value }) => `${name}: ${value}\r\n`).join("");
}

function trailersFrame(text: string): Uint8Array {
  return framed(trailersFlag, Buffer.from(text, "latin1"));
}
