import { doubleOf, floatOf, int32Of, uint32Of } from "./coercion.ts";
import {
  putDouble,
  putFixed64,
  putFloat,
  putFour,
  putInt32,
  putInt64,
  putSfixed64,
  putSint64,
  putUint64,
  putVarint,
} from "./put.ts";
import type { Writer } from "./writer.ts";

// Each writes a list that is not empty as one field.

type Put<T> = (bytes: Uint8Array, at: number, value: T) => number;

function packed<T>(writer: Writer, tag: number, list: readonly T[], put: Put<T>): void {
  const start = writer.open(tag);
  const bytes = writer.room(10 * list.length);
  let pos = writer.pos;
  for (let i = 0; i < list.length; i++) pos = put(bytes, pos, list[i]!);
  writer.pos = pos;
  writer.close(start);
}

export function writePackedUint32(writer: Writer, tag: number, list: readonly number[]): void {
  const start = writer.open(tag);
  const bytes = writer.room(10 * list.length);
  let pos = writer.pos;
  for (let i = 0; i < list.length; i++) {
    const value = list[i]!;
    pos = putVarint(bytes, pos, value >>> 0 === value ? value : uint32Of(value));
  }
  writer.pos = pos;
  writer.close(start);
}

export function writePackedInt32(writer: Writer, tag: number, list: readonly number[]): void {
  const start = writer.open(tag);
  const bytes = writer.room(10 * list.length);
  let pos = writer.pos;
  for (let i = 0; i < list.length; i++) {
    const value = list[i]!;
    pos = putInt32(bytes, pos, (value | 0) === value ? value : int32Of(value));
  }
  writer.pos = pos;
  writer.close(start);
}

export function writePackedSint32(writer: Writer, tag: number, list: readonly number[]): void {
  const start = writer.open(tag);
  const bytes = writer.room(10 * list.length);
  let pos = writer.pos;
  for (let i = 0; i < list.length; i++) {
    const value = list[i]!;
    const checked = (value | 0) === value ? value : int32Of(value);
    pos = putVarint(bytes, pos, ((checked << 1) ^ (checked >> 31)) >>> 0);
  }
  writer.pos = pos;
  writer.close(start);
}

export function writePackedBool(writer: Writer, tag: number, list: readonly boolean[]): void {
  packed(writer, tag, list, (bytes, at, value) => putVarint(bytes, at, value ? 1 : 0));
}

export function writePackedInt64(
  writer: Writer,
  tag: number,
  list: readonly (bigint | string)[],
): void {
  packed(writer, tag, list, putInt64);
}

export function writePackedUint64(
  writer: Writer,
  tag: number,
  list: readonly (bigint | string)[],
): void {
  packed(writer, tag, list, putUint64);
}

export function writePackedSint64(
  writer: Writer,
  tag: number,
  list: readonly (bigint | string)[],
): void {
  packed(writer, tag, list, putSint64);
}

export function writePackedFixed32(writer: Writer, tag: number, list: readonly number[]): void {
  packed(writer, tag, list, (bytes, at, value) =>
    putFour(bytes, at, value >>> 0 === value ? value : uint32Of(value)),
  );
}

export function writePackedSfixed32(writer: Writer, tag: number, list: readonly number[]): void {
  packed(writer, tag, list, (bytes, at, value) =>
    putFour(bytes, at, (value | 0) === value ? value : int32Of(value)),
  );
}

export function writePackedFixed64(
  writer: Writer,
  tag: number,
  list: readonly (bigint | string)[],
): void {
  packed(writer, tag, list, putFixed64);
}

export function writePackedSfixed64(
  writer: Writer,
  tag: number,
  list: readonly (bigint | string)[],
): void {
  packed(writer, tag, list, putSfixed64);
}

export function writePackedFloat(writer: Writer, tag: number, list: readonly number[]): void {
  packed(writer, tag, list, (bytes, at, value) => putFloat(bytes, at, floatOf(value)));
}

export function writePackedDouble(writer: Writer, tag: number, list: readonly number[]): void {
  packed(writer, tag, list, (bytes, at, value) =>
    putDouble(bytes, at, typeof value === "number" ? value : doubleOf(value)),
  );
}
