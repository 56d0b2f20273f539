import type { DescMessage } from "@bufbuild/protobuf";

/**
 * Converts between bytes and messages of one type, in one content type. Generated files export one
 * codec per message, in protobuf's binary format; a {@link Format} turns it into the same message's
 * codec for another content type.
 *
 * A codec is stateless and may be shared freely. `M` is the message as it is received, with every
 * field; `I` is the initializer accepted for sending, where an absent field means its default.
 */
export interface Codec<M = unknown, I = M> {
  /**
   * Full name of the message, such as `acme.greeter.v1.HelloRequest`; "" if the bytes have no type.
   */
  readonly typeName: string;
  /** Such as `application/protobuf`. */
  readonly contentType: string;
  /**
   * The message's descriptor, which formats such as JSON work from. Methods, topics and the
   * generated lists of codecs have it once descriptors are loaded, which happens when they are
   * first needed (`loadDescriptors`). Absent for opaque bytes, and on a generated codec imported by
   * its own name, so that a bundle with that codec does not include protobuf-es.
   */
  readonly schema?: DescMessage | undefined;
  /**
   * Encodes the message into a new array of bytes.
   * @throws MicroError `invalid_argument` that names the field when a value does not fit its type.
   */
  encode(message: I): Uint8Array;
  /**
   * Writes the message into a buffer that the caller owns, from `offset`, and returns the offset
   * after the last byte. A result greater than `target.length` means that the message did not fit:
   * the written bytes are invalid, and the caller retries with a larger buffer. Optional; callers
   * fall back to `encode`.
   */
  encodeInto?(message: I, target: Uint8Array, offset: number): number;
  /**
   * Reads one message from exactly these bytes. `bytes` fields of the result, and the unknown
   * fields that it keeps, may be views into them; a caller that reuses its buffer requests copies.
   *
   * @param copyBytes default false
   * @throws MicroError `invalid_argument` when the bytes are not such a message.
   */
  decode(bytes: Uint8Array, copyBytes?: boolean): M;
  /**
   * As {@link decode}, from a part of an array: creating a view per message would cost about as
   * much as reading a small one. Optional; callers fall back to `decode`.
   */
  decodeFrom?(bytes: Uint8Array, start: number, end: number, copyBytes: boolean): M;
  /**
   * As {@link decode}, for formats that count the elements of a message themselves, such as JSON.
   * Elements in protobuf's binary format are counted before decoding; codecs of other formats
   * decode anything that fits into `maxMessageBytes`.
   *
   * @param maxElements the receiver's `maxMessageElements`
   * @throws MicroError `resource_exhausted` when the message has more.
   */
  decodeWithin?(bytes: Uint8Array, maxElements: number): M;
}

/**
 * A codec with unknown message types, as in tables of methods. The parameter types are `never` and
 * `unknown` on purpose: such a codec can be passed on, but only be used with values that came from
 * it.
 */
// biome-ignore lint/suspicious/noExplicitAny: the one place where a heterogeneous table needs bivariance
export type AnyCodec = Codec<any, any>;

/**
 * A serialization format for messages, named by its content type; the replaceable part of the codec
 * interface.
 */
export interface Format {
  /** Such as `application/json`. Compared without parameters, ignoring case. */
  readonly contentType: string;
  /**
   * The codec in this format for the message type of another codec.
   * @throws MicroError `unimplemented` when the format needs a descriptor and the codec has none.
   */
  codecFor<M, I>(codec: Codec<M, I>): Codec<M, I>;
}
