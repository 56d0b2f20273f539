import type { DescMessage } from "@bufbuild/protobuf";

const names: ReadonlySet<string> = new Set(["Any", "Duration", "Empty", "FieldMask", "Timestamp"]);

/**
 * Whether the runtime has the codec of a message of google/protobuf, as `DurationCodec` and so on.
 */
export function isWellKnown({ typeName, name, file }: DescMessage): boolean {
  return (
    typeName === `google.protobuf.${name}` &&
    names.has(name) &&
    file.name.startsWith("google/protobuf/")
  );
}

/** The constant with that codec. */
export function wellKnownCodec({ name }: DescMessage): string {
  return `${name}Codec`;
}
