import { Buffer } from "node:buffer";
import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import { GrowingBuffer } from "../../base/growing-buffer.ts";

/** Bytes before a message: flags and its length. */
const prefixBytes = 5;
/** The flag of a compressed payload. */
const compressedFlag = 1;
/** The largest end of a stream, and the largest error that is inspected, in bytes. */
const maxEndBytes = 256 * 1024;
/** The most metadata values, and the most error details, that are kept of an end. */
const maxValues = 256;

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
  yield Buffer.from(repairErrorJson(text) ?? text);
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

/**
 * Returns the JSON of an error without its malformed parts; undefined if it is not the JSON of an
 * error.
 */
function repairErrorJson(text: string): string | undefined {
  const value = parse(text);
  return isObject(value) ? JSON.stringify(repairedError(value)) : undefined;
}

function repairEndStream(payload: Buffer): string {
  const value = parse(payload.toString());
  if (!isObject(value)) return unreadable("the end of the response is not a JSON object");
  const { error = null, metadata } = value;
  if (error !== null && !isObject(error)) {
    return unreadable("the error at the end of the response is not a JSON object");
  }
  return JSON.stringify({
    ...(error !== null && { error: repairedError(error) }),
    ...(isObject(metadata) && { metadata: repairedMetadata(metadata) }),
  });
}

function unreadable(why: string): string {
  return JSON.stringify({ error: { code: "internal", message: `malformed response: ${why}` } });
}

function repairedError({ code, message, details }: Record<string, unknown>): object {
  return {
    ...(typeof code === "string" && { code }),
    message: typeof message === "string" ? message : "",
    ...(Array.isArray(details) && {
      details: details
        .slice(0, maxValues)
        .filter(isDetail)
        .map(({ type, value }) => ({ type, value })),
    }),
  };
}

function isDetail(value: unknown): value is { readonly type: string; readonly value: string } {
  return (
    isObject(value) &&
    typeof value.type === "string" &&
    typeof value.value === "string" &&
    /^[A-Za-z0-9+/_-]*={0,2}$/.test(value.value)
  );
}

function repairedMetadata(metadata: Record<string, unknown>): Record<string, string[]> {
  const repaired = new Map<string, string[]>();
  let left = maxValues;
  for (const [name, values] of Object.entries(metadata)) {
    if (left <= 0) break;
    if (!isName(name) || !Array.isArray(values)) continue;
    const kept = values.slice(0, left).filter((value) => typeof value === "string");
    repaired.set(name, kept.filter(isValue));
    left -= kept.length;
  }
  return Object.fromEntries(repaired);
}

/** Whether `Headers` accepts a name. */
export function isName(name: string): boolean {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(name);
}

/** Whether `Headers` accepts a value. */
export function isValue(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
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
