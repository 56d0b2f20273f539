import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { AnyCodec, Codec } from "../codec.ts";
import { protobufContentType } from "../content-type.ts";
import { cannotDecode, cannotEncode } from "../errors.ts";
import type { FileDescriptors } from "../file-descriptors.ts";
import { pathOfFailure } from "./failure.ts";
import type { MessageInit } from "./message-init.ts";
import { Reader, type ReadMessage } from "./reader.ts";
import { encodeFresh, largestCarved } from "./slab.ts";
import { handOver } from "./unknown.ts";
import { viewDoubles } from "./write-fixed.ts";
import { type WriteMessage, Writer } from "./writer.ts";

/** How deeply messages may be nested, including the outermost one. */
export const recursionLimit = 100;

/**
 * A codec of protobuf's binary format that can also read and write its message as part of another;
 * generated codecs use each other through it.
 */
export interface MessageCodec<M, I = MessageInit<M>> extends Codec<M, I> {
  encodeInto(message: I, target: Uint8Array, offset: number): number;
  decodeFrom(bytes: Uint8Array, start: number, end: number, copyBytes: boolean): M;
  /** A message with every field at its default, as protobuf-es' `create` makes it. */
  readonly create: () => M;
  /** Merges the message between the reader's position and `end` into `message`. */
  readonly read: ReadMessage<M>;
  readonly write: WriteMessage<M>;
}

/**
 * Creates a codec from what a generated file knows about a message: its name, and the three
 * functions generated for it.
 */
export function messageCodec<M extends Message>(
  typeName: M["$typeName"],
  create: () => M,
  read: ReadMessage<M>,
  write: WriteMessage<M>,
): MessageCodec<M> {
  return new GeneratedCodec<M, MessageInit<M>>(typeName, create, read, write);
}

/**
 * A generated codec together with its descriptor, for formats that need it, such as JSON. Codecs
 * come without, so that a bundle that does not use the descriptor does not include protobuf-es. The
 * types are loose, because relating them costs the type checker more than everything else in a
 * generated file.
 *
 * @param source the descriptor of the codec's message, as output of earlier versions passes it, or
 * the descriptors of its file
 * @param name of the descriptor among those of the file
 */
export function described(
  codec: AnyCodec,
  source: object | FileDescriptors,
  name?: string,
): AnyCodec {
  const { typeName, create, read, write } = codec as MessageCodec<Message>;
  const made = new GeneratedCodec<Message, unknown>(typeName, create, read, write);
  // All have one shape, whenever their descriptor arrives.
  made.schema = name === undefined ? (source as DescMessage) : undefined;
  made.file = name === undefined ? undefined : (source as FileDescriptors);
  if (name !== undefined) made.file?.describe(made, name);
  return made;
}

class GeneratedCodec<M, I> implements MessageCodec<M, I> {
  readonly typeName: string;
  readonly contentType: string = protobufContentType;
  readonly create: () => M;
  readonly read: ReadMessage<M>;
  readonly write: WriteMessage<M>;
  declare schema?: DescMessage | undefined;
  /** Describes its fields before descriptors are loaded. */
  declare file?: FileDescriptors | undefined;
  /** The size of the last encoded message. Messages of a type often have similar sizes. */
  #lastSize = 0;

  constructor(typeName: string, create: () => M, read: ReadMessage<M>, write: WriteMessage<M>) {
    this.typeName = typeName;
    this.create = create;
    this.read = read;
    this.write = write;
  }

  encode(message: I): Uint8Array {
    try {
      const bytes = encodeFresh(this.write, message as unknown as M, this.#lastSize);
      this.#lastSize = bytes.length;
      return bytes;
    } catch (cause) {
      throw this.#unwritable(message, cause);
    }
  }

  encodeInto(message: I, target: Uint8Array, offset: number): number {
    const writer = new Writer(target);
    if (this.#lastSize > largestCarved) viewDoubles(target);
    let end: number;
    try {
      end = this.write(message as unknown as M, writer, offset);
      this.#lastSize = end - offset;
    } catch (cause) {
      throw this.#unwritable(message, cause);
    }
    // Fields reserve room for their largest size; the result may have fitted all the same.
    if (writer.bytes !== target && end <= target.length) {
      target.set(writer.bytes.subarray(offset, end), offset);
    }
    return end;
  }

  decode(bytes: Uint8Array, copyBytes = false): M {
    return this.decodeFrom(bytes, 0, bytes.length, copyBytes);
  }

  decodeFrom(bytes: Uint8Array, start: number, end: number, copyBytes: boolean): M {
    const reader = new Reader(bytes, copyBytes, start, end);
    try {
      const message = this.read(this.create(), reader, end, recursionLimit - 1);
      if (reader.kept !== undefined) handOver(reader.kept);
      return message;
    } catch (cause) {
      // Steps do not check for the end of the bytes, so the reader may be past it.
      const at = Math.min(reader.pos, end) - start;
      const where = `${end - start} bytes as ${this.typeName}, at byte ${at}`;
      throw cannotDecode(where, cause);
    }
  }

  #unwritable(message: I, cause: unknown): Error {
    return cannotEncode(this.typeName + pathOfFailure(this.write, message as unknown as M), cause);
  }
}
