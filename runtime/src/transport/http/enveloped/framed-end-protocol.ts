import type { MicroError } from "../../../base/error.ts";
import type { Metadata } from "../../../base/metadata.ts";
import type { CallStream } from "../call-stream.ts";
import { EnvelopedProtocol } from "./enveloped-protocol.ts";

/** A protocol whose responses end with an envelope of their own, which has the status. */
export abstract class FramedEndProtocol extends EnvelopedProtocol {
  /** The end of every response that is not an error and has no trailers. */
  protected abstract readonly successEnd: Uint8Array;

  /** Returns the end of another response. */
  protected abstract endOf(
    error: MicroError | undefined,
    trailers: Metadata | undefined,
  ): Uint8Array;

  end(stream: CallStream, error: MicroError | undefined, trailers: Metadata | undefined): void {
    const isPlain = error === undefined && trailers === undefined;
    const bytes = isPlain ? this.successEnd : this.endOf(error, trailers);
    stream.send(bytes, 0, bytes.length, true);
  }

  failureFields(): undefined {
    return undefined;
  }
}
