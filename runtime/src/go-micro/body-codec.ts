import type { AnyCodec } from "../codec/codec.ts";

/** The content of a request body. */
export interface OpenedBody {
  /** The message, in the codec's encoding. */
  readonly message: Uint8Array;
  /** `Greeter.Hello`, if an envelope names it; otherwise the header does. */
  readonly endpoint?: string;
  /** The id of the request in an envelope, which its response repeats. */
  readonly id?: string;
}

/** Reads and writes the bodies of a content type. */
export interface BodyCodec {
  /**
   * Returns the codec of its messages.
   * @throws MicroError `unimplemented` if JSON requires a descriptor and there is none.
   */
  codec(of: AnyCodec): AnyCodec;
  /**
   * Parses the body of a request.
   *
   * @param maxElements the most values that an envelope may have, if its message cannot be
   * separated before it is parsed
   * @throws MicroError `invalid_argument`, and `resource_exhausted` for more values
   */
  open(body: Uint8Array, maxElements: number): OpenedBody;
  /** Returns the body of a response. */
  encodeResponse(message: Uint8Array, request: OpenedBody): Uint8Array;
  /** Returns the body of an error; empty if only the header states it. */
  error(text: string, request: OpenedBody): Uint8Array;
}
