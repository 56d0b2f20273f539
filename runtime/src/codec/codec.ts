import type { DescMessage } from "@bufbuild/protobuf";

/**
 * Bytes ↔ message, for one message type and one content type. Generated files export one a message in
 * protobuf's binary format; a {@link Format} turns it into the same message's codec of another content
 * type.
 *
 * A codec is stateless and may be shared by everything. `M` is the message as it is received, with every
 * field; `I` is what may be given to send, where an absent field means its default.
 */
export interface Codec<M = unknown, I = M> {
  /** Full name of the message, such as `acme.greeter.v1.HelloRequest`; "" where bytes have no type. */
  readonly typeName: string;
  /** Such as `application/protobuf`. */
  readonly contentType: string;
  /**
   * The message's descriptor, which formats such as JSON work from. Methods, topics and the generated lists
   * of codecs have it. Absent where bytes are opaque, and on a generated codec that is imported by its own
   * name: a bundle with that one shall not have protobuf-es in it.
   */
  readonly schema?: DescMessage;
  /**
   * The message as a fresh array of bytes.
   * @throws MicroError `invalid_argument` that names the field when a value does not fit its type.
   */
  encode(message: I): Uint8Array;
  /**
   * Writes the message into a buffer that the caller owns, from `offset`, and returns the offset after the
   * last byte. A result greater than `target.length` means that it did not fit: what was written is
   * worthless, and the caller tries again with a larger buffer. Optional; callers fall back to `encode`.
   */
  encodeInto?(message: I, target: Uint8Array, offset: number): number;
  /**
   * Reads one message from exactly these bytes. `bytes` fields of the result, and the unknown fields that it
   * keeps, may be views into them; a caller that reuses its buffer asks for copies.
   *
   * @param copyBytes default false
   * @throws MicroError `invalid_argument` when the bytes are not such a message.
   */
  decode(bytes: Uint8Array, copyBytes?: boolean): M;
  /**
   * As {@link decode}, from a part of an array: a view for each message would cost about as much as reading a small
   * one. Optional; callers fall back to `decode`.
   */
  decodeFrom?(bytes: Uint8Array, start: number, end: number, copyBytes: boolean): M;
}

/**
 * A codec whose message types are not known here, as tables of methods hold it. The parameter types are
 * `never` and `unknown` on purpose: such a codec can be passed on, and used only with values that came
 * from it.
 */
// biome-ignore lint/suspicious/noExplicitAny: the one place where a heterogeneous table needs bivariance
export type AnyCodec = Codec<any, any>;

/** A way of writing messages, named by its content type; the swappable part of the codec interface. */
export interface Format {
  /** Such as `application/json`. Compared without parameters and without regard to case. */
  readonly contentType: string;
  /**
   * The codec in this format for the message type of another codec.
   * @throws MicroError `unimplemented` when the format needs a descriptor and the codec has none.
   */
  codecFor<M, I>(codec: Codec<M, I>): Codec<M, I>;
}
