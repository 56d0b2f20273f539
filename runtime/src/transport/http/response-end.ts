import { Buffer } from "node:buffer";
import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import { GrowingBuffer } from "../../base/growing-buffer.ts";
import { readEndJson, readErrorJson } from "./connect/error-json.ts";
import { maxEndBytes } from "./end-fields.ts";

/** Bytes before a message: flags and its length. */
const prefixBytes = 5;
/** The flag of a compressed payload. */
const compressedFlag = 1;

/** How a protocol ends the body of a response. */
export interface EndForm {
  /** The flag that marks the payload as the end. */
  readonly flag: number;
  /** Returns the payload in a form that Connect can read. */
  repair(payload: Buffer): string;
}

/** Connect streams end with JSON. */
const connectEnd: EndForm = { flag: 0x02, repair: repairEndStream };

/**
 * Makes Connect errors and ends of streams readable. Because of a malformed detail, Connect would
 * otherwise lose them with their code, or blame the caller.
 */
export function repairConnect(send: UniversalClientFn): UniversalClientFn {
  return async (request) => {
    const response = await send(request);
    const { status, body } = response;
    const type = response.header.get("content-type") ?? "";
    if (/^application\/connect\+/i.test(type)) {
      return { ...response, body: repairEnd(body, connectEnd) };
    }
    const isError = status !== 200 && /^application\/json\b/i.test(type);
    if (!isError || response.header.has("content-encoding")) return response;
    const header = new Headers(response.header);
    header.delete("content-length");
    return { ...response, header, body: repairError(body) };
  };
}

async function* repairError(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const collected = new GrowingBuffer();
  for await (const piece of body) {
    collected.append(piece);
    if (collected.length > maxEndBytes) yield collected.take();
  }
  const text = Buffer.from(collected.take()).toString();
  const error = readErrorJson(text);
  yield Buffer.from(error === undefined ? text : JSON.stringify(error));
}

/**
 * Yields the body of a response with an end that Connect can read. A body without an end, or one
 * that continues after it, fails as `internal`; Connect would blame the caller for some of these.
 */
export async function* repairEnd(
  body: AsyncIterable<Uint8Array>,
  form: EndForm,
): AsyncGenerator<Uint8Array> {
  const prefix = Buffer.alloc(prefixBytes);
  let prefixFilled = 0;
  /** Bytes that the payload still lacks. */
  let left = 0;
  let ended = false;
  let end: GrowingBuffer | undefined;
  for await (const piece of body) {
    let at = 0;
    while (at < piece.length) {
      if (left > 0) {
        const taken = piece.subarray(at, at + left);
        left -= taken.length;
        at += taken.length;
        if (end === undefined) yield taken;
        else end.append(taken);
      } else {
        if (ended) throw malformed("it goes on after its end");
        prefix[prefixFilled++] = piece[at++]!;
        if (prefixFilled < prefixBytes) continue;
        prefixFilled = 0;
        left = prefix.readUInt32BE(1);
        ended = (prefix[0]! & form.flag) !== 0;
        if (ended && left > maxEndBytes) throw endTooLarge(left);
        if (ended && (prefix[0]! & compressedFlag) === 0) {
          end = new GrowingBuffer();
        } else {
          yield Buffer.from(prefix);
        }
      }
      if (end !== undefined && left === 0) {
        yield framed(prefix[0]!, form.repair(Buffer.from(end.take())));
        end = undefined;
      }
    }
  }
  if (prefixFilled > 0 || left > 0) throw malformed("it ends within a message");
  if (!ended) throw malformed("it ends without a status");
}

function repairEndStream(payload: Buffer): string {
  const { error, metadata } = readEndJson(payload.toString());
  return JSON.stringify({ error, metadata: Object.fromEntries(metadata) });
}

function framed(flags: number, payload: string): Buffer {
  const bytes = Buffer.from(payload);
  const prefix = Buffer.alloc(prefixBytes);
  prefix[0] = flags;
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

function endTooLarge(bytes: number): ConnectError {
  const text = `the end of the response has ${bytes} bytes, over its limit of ${maxEndBytes}`;
  return new ConnectError(text, Code.ResourceExhausted);
}

function malformed(why: string): ConnectError {
  return new ConnectError(`malformed response: ${why}`, Code.Internal);
}
