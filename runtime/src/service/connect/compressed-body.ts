import type { CallDeflation } from "../../transport/http/compression/messages.ts";

/** Larger than any message, in bytes: with this minimum size, Connect compresses nothing. */
export const never = 0xffff_ffff;

/** The flag of a compressed message (gRPC, gRPC-Web and Connect streams). */
const compressedFlag = 1;
/** Bytes before a message: flags and length. */
const prefixBytes = 5;

/**
 * Compresses the messages of a body one by one, whereas Connect would decide by size alone. Each
 * chunk of the body is one message with its prefix. Chunks that already have a flag set, such as
 * the end of a stream, are left as they are.
 */
export function compressMessages(
  body: AsyncIterable<Uint8Array>,
  deflation: CallDeflation,
  minBytes: number,
): AsyncIterableIterator<Uint8Array> {
  const source = body[Symbol.asyncIterator]();
  // Written by hand, because every response passes through here and most are unchanged.
  const convert = (step: IteratorResult<Uint8Array>) => {
    if (step.done === true || step.value[0] !== 0) return step;
    return step.value.length - prefixBytes >= minBytes ? compressed(step.value, deflation) : step;
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
  deflation: CallDeflation,
): Promise<IteratorResult<Uint8Array>> {
  const data = await deflation.compress(chunk.subarray(prefixBytes));
  if (data === undefined) return { done: false, value: chunk };
  const value = new Uint8Array(prefixBytes + data.length);
  value[0] = compressedFlag;
  new DataView(value.buffer).setUint32(1, data.length);
  value.set(data, prefixBytes);
  return { done: false, value };
}

/**
 * Compresses a body that is one message without a prefix, as in unary Connect calls, and sets its
 * header accordingly.
 */
export async function compressWhole(
  body: AsyncIterable<Uint8Array>,
  header: Headers,
  deflation: CallDeflation,
  minBytes: number,
): Promise<AsyncIterable<Uint8Array>> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  const whole = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  const compressed = whole.length < minBytes ? undefined : await deflation.compress(whole);
  if (compressed === undefined) return one(whole);
  header.set("content-encoding", deflation.compression.name);
  if (header.has("content-length")) header.set("content-length", String(compressed.length));
  return one(compressed);
}

async function* one(piece: Uint8Array): AsyncGenerator<Uint8Array> {
  yield piece;
}
