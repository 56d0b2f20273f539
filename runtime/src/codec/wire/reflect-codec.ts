import {
  create,
  type DescMessage,
  type MessageShape,
  mergeFromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import { contentsEnd } from "./group.ts";
import { described, type MessageCodec, messageCodec } from "./message-codec.ts";
import { leave, nextTag, partOf, type Reader } from "./reader.ts";
import { keepUnknown, skipField } from "./unknown.ts";
import { putRaw } from "./writer.ts";

/**
 * The codec of a message whose own codec was not generated together with those of the messages that
 * use it, as for packages generated elsewhere. It works from the descriptor, through protobuf-es.
 */
export function reflectCodec<Desc extends DescMessage>(
  schema: Desc,
): MessageCodec<MessageShape<Desc>> {
  const codec = messageCodec<MessageShape<Desc>>(
    schema.typeName,
    () => create(schema),
    (message, reader, end, depth) => {
      const stop = contentsEnd(reader, end, depth);
      checkFields(reader, stop, depth);
      const contents = partOf(reader, reader.pos, stop);
      mergeFromBinary(schema, message, contents, { recursionLimit: depth + 1 });
      reader.pos = stop;
      if (stop !== end) keepUnknown(reader, message, nextTag(reader), end, depth);
      leave(reader, end);
      return message;
    },
    (message, writer, at) => putRaw(writer, at, toBinary(schema, create(schema, message as never))),
  );
  return described(codec, schema) as MessageCodec<MessageShape<Desc>>;
}

/**
 * Checks that the fields end exactly at `stop`: protobuf-es accepts a last field that runs past it.
 * The cursor does not move.
 */
function checkFields(reader: Reader, stop: number, depth: number): void {
  const start = reader.pos;
  while (reader.pos < stop) skipField(reader, nextTag(reader), stop, depth);
  leave(reader, stop);
  reader.pos = start;
}
