import type { MicroError } from "../../../base/error.ts";
import type { Metadata } from "../../../base/metadata.ts";
import type { HeaderField } from "../../http2/hpack/header-field.ts";
import { FramedEndProtocol } from "../enveloped/framed-end-protocol.ts";
import { framed } from "../enveloped/message-frame.ts";
import { metadataFields, statusFields } from "./grpc-response.ts";

/** The flag of the trailers, which follow the last message. */
const trailersFlag = 0x80;
const success = "grpc-status: 0\r\n";
const successEnd = trailersFrame(success);

/** gRPC-Web: the status is at the end of the body, because browsers do not read trailers. */
export class GrpcWebProtocol extends FramedEndProtocol {
  protected readonly successEnd: Uint8Array = successEnd;

  constructor(contentType: string) {
    super(contentType, "grpc-encoding");
  }

  protected endOf(error: MicroError | undefined, trailers: Metadata | undefined): Uint8Array {
    const status = error === undefined ? success : textOf(statusFields(error));
    return trailersFrame(status + textOf(metadataFields(trailers)));
  }
}

function textOf(fields: readonly HeaderField[]): string {
  return fields.map(({ name, value }) => `${name}: ${value}\r\n`).join("");
}

function trailersFrame(text: string): Uint8Array {
  return framed(trailersFlag, Buffer.from(text, "latin1"));
}
