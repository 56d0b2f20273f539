import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";

/**
 * Messages between the runner and a program under test: each stands behind its length in four
 * bytes, big-endian.
 */

/** The messages that come in, as they come. */
export async function* readFrames<T extends DescMessage>(
  schema: T,
  input: AsyncIterable<Buffer>,
): AsyncGenerator<MessageShape<T>> {
  let held = Buffer.alloc(0);
  for await (const bytes of input) {
    held = Buffer.concat([held, bytes]);
    while (held.length >= 4 && held.length >= 4 + held.readUInt32BE(0)) {
      const end = 4 + held.readUInt32BE(0);
      yield fromBinary(schema, held.subarray(4, end));
      held = held.subarray(end);
    }
  }
  if (held.length > 0)
    throw new Error(`the runner's last message breaks off after ${held.length} bytes`);
}

/** One message as it goes out. */
export function frame<T extends DescMessage>(schema: T, message: MessageShape<T>): Buffer {
  const body = toBinary(schema, message);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}
