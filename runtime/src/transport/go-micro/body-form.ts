import type { AnyCodec } from "../../codec/codec.ts";

/** What the body of a request holds. */
export interface OpenedBody {
  /** The message, in the form's encoding. */
  readonly message: Uint8Array;
  /** `Greeter.Hello`, where an envelope says it; the header does otherwise. */
  readonly endpoint?: string;
  /** What an envelope calls the request; its answer says it back. */
  readonly id?: string;
}

/** How bodies are written under a content type. */
export interface BodyForm {
  /** The codec of messages in it. @throws MicroError `unimplemented` where JSON needs a descriptor and there is none. */
  codec(of: AnyCodec): AnyCodec;
  /** Takes a request apart. @throws MicroError `invalid_argument` */
  open(body: Uint8Array): OpenedBody;
  /** The body of an answer. */
  answer(message: Uint8Array, request: OpenedBody): Uint8Array;
  /** The body of an error; empty where the header alone says it. */
  error(text: string, request: OpenedBody): Uint8Array;
}
