import type { MicroError } from "../../../base/error.ts";
import type { Metadata } from "../../../base/metadata.ts";
import { HeaderField } from "../../http2/hpack/header-field.ts";
import { HeaderTemplate } from "../../http2/hpack/header-template.ts";
import type { CallStream } from "../call-stream.ts";
import { EnvelopedProtocol } from "../enveloped/enveloped-protocol.ts";
import { metadataFields, statusFields } from "./grpc-response.ts";

/** The trailers of every response that is not an error. */
const successTrailers = new HeaderTemplate([new HeaderField("grpc-status", "0")]);

/** gRPC: the status is in the trailers, or in the header of a response without messages. */
export class GrpcProtocol extends EnvelopedProtocol {
  constructor(contentType: string) {
    super(contentType, "grpc-encoding");
  }

  end(stream: CallStream, error: MicroError | undefined, trailers: Metadata | undefined): void {
    if (error === undefined) stream.trailers(successTrailers, metadataFields(trailers));
    else stream.trailers(undefined, this.failureFields(error, trailers));
  }

  failureFields(error: MicroError, trailers: Metadata | undefined): HeaderField[] {
    return [...statusFields(error), ...metadataFields(trailers)];
  }
}
