import type { Compression } from "@connectrpc/connect/protocol";

/** More than any message measures, in bytes: with it as its limit, Connect compresses nothing. */
export const never = 0xffff_ffff;

/** First byte of a message that is compressed (gRPC, gRPC-Web and streams of Connect). */
const compressedFlag = 1;
/** Bytes before a message: what it is, and its length. */
const prefixBytes = 5;

/**
 * Compresses the messages of a body one by one, where Connect would go by their size alone. Each chunk of the body is
 * one message with its prefix; what has a mark already, such as the end of a stream, stays as it is.
 *
 * @param wanted asked for each message, in their order
 */
export function compressMessages(
  body: AsyncIterable<Uint8Array>,
  compression: Compression,
  minBytes: number,
  wanted: () => boolean,
): AsyncIterableIterator<Uint8Array> {
  const source = body[Symbol.asyncIterator]();
  // By hand, because every answer passes here and most stay as they are.
  const convert = (step: IteratorResult<Uint8Array>) => {
    if (step.done === true || step.value[0] !== 0) return step;
    return wanted() && step.value.length - prefixBytes >= minBytes
      ? compressed(step.value, compression)
      : step;
  };
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => source.next().then(convert),
    return: (value) =>
      source.return?.(value) ?? Promise.resolve({ done: true, value: undefined as never }),
    throw: (reason) => source.throw?.(reason) ?? Promise.reject(reason),
  };
}

async function compressed(
  chunk: Uint8Array,
  compression: Compression,
): Promise<IteratorResult<Uint8Array>> {
  const data = await compression.compress(chunk.subarray(prefixBytes));
  const value = new Uint8Array(prefixBytes + data.length);
  value[0] = compressedFlag;
  new DataView(value.buffer).setUint32(1, data.length);
  value.set(data, prefixBytes);
  return { done: false, value };
}

/**
 * Passes a body on, and says of each message in it whether it is compressed, before anybody can read the message.
 */
export async function* watchMessages(
  body: AsyncIterable<Uint8Array>,
  tell: (compressed: boolean) => void,
): AsyncGenerator<Uint8Array> {
  const prefix = new Uint8Array(prefixBytes);
  let filled = 0;
  let left = 0;
  for await (const chunk of body) {
    let at = 0;
    while (at < chunk.length) {
      if (left > 0) {
        const skipped = Math.min(left, chunk.length - at);
        left -= skipped;
        at += skipped;
        continue;
      }
      prefix[filled++] = chunk[at++]!;
      if (filled < prefixBytes) continue;
      filled = 0;
      left = new DataView(prefix.buffer).getUint32(1);
      tell((prefix[0]! & compressedFlag) !== 0);
    }
    yield chunk;
  }
}
