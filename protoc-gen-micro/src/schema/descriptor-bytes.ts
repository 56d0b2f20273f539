import { create, type DescFile, toBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { type DescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { SchemaType } from "./type-closure.ts";

type TypeProto = SchemaType["proto"];

const files = new WeakMap<DescFile, ReadonlyMap<TypeProto, Uint8Array>>();

/**
 * The encoded descriptor of a type. All types of a file are encoded at once, because a writer for
 * each costs more than the encoding.
 */
export function descriptorBytes(type: SchemaType): Uint8Array {
  let descriptors = files.get(type.file);
  if (descriptors === undefined) {
    descriptors = descriptorsOf(type.file);
    files.set(type.file, descriptors);
  }
  return descriptors.get(type.proto)!;
}

function descriptorsOf(file: DescFile): ReadonlyMap<TypeProto, Uint8Array> {
  const { messageType, enumType, service } = file.proto;
  const types = create(FileDescriptorProtoSchema, { messageType, enumType, service });
  const found = new Map<TypeProto, Uint8Array>();
  // Keyed by field number, here and below.
  collect(
    toBinary(FileDescriptorProtoSchema, types),
    { 4: messageType.values(), 5: enumType.values(), 6: service.values() },
    found,
  );
  return found;
}

/** Cuts the encoded types out of their encoded parent, in the order of its lists. */
function collect(
  bytes: Uint8Array,
  lists: Readonly<Record<number, Iterator<TypeProto>>>,
  found: Map<TypeProto, Uint8Array>,
): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const next = lists[number]?.next();
    if (next === undefined || next.done) {
      reader.skip(wireType, number);
      continue;
    }
    const part = reader.bytes();
    found.set(next.value, part);
    if (isMessage(next.value)) {
      const { nestedType, enumType } = next.value;
      collect(part, { 3: nestedType.values(), 4: enumType.values() }, found);
    }
  }
}

function isMessage(proto: TypeProto): proto is DescriptorProto {
  return proto.$typeName === "google.protobuf.DescriptorProto";
}
