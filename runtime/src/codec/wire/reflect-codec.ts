import {
  create,
  type DescMessage,
  type MessageShape,
  mergeFromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import { described, type MessageCodec, messageCodec } from "./message-codec.ts";

/**
 * The codec of a message whose own was not generated along with that of the messages which use it, as is the
 * case for packages that others generated. It works from the descriptor, through protobuf-es.
 */
export function reflectCodec<Desc extends DescMessage>(
  schema: Desc,
): MessageCodec<MessageShape<Desc>> {
  const codec = messageCodec<MessageShape<Desc>>(
    schema.typeName,
    () => create(schema),
    (message, reader, end, depth) => {
      const stop = reader.contentsEnd(end, depth);
      const contents = reader.part(reader.pos, stop);
      mergeFromBinary(schema, message, contents, { recursionLimit: depth + 1 });
      reader.pos = stop;
      if (stop !== end) reader.unknown(message, reader.tag(), end, depth);
      reader.leave(end);
      return message;
    },
    (message, writer) => writer.raw(toBinary(schema, create(schema, message as never))),
  );
  return described(codec, schema) as MessageCodec<MessageShape<Desc>>;
}
