import type { DescEnum, DescMessage, DescService } from "@bufbuild/protobuf";

export type SchemaType = DescService | DescMessage | DescEnum;

/** A service or an event with all types that its messages use. */
export function typeClosure(root: SchemaType): ReadonlySet<SchemaType> {
  const found = new Set<SchemaType>([root]);
  // Iteration of a set includes elements that are added meanwhile.
  for (const type of found) for (const part of partsOf(type)) found.add(part);
  return found;
}

function partsOf(type: SchemaType): readonly SchemaType[] {
  if (type.kind === "service") return type.methods.flatMap(({ input, output }) => [input, output]);
  if (type.kind === "enum") return [];
  return type.fields.flatMap((field): SchemaType[] => {
    if (field.message !== undefined) return [field.message];
    return field.enum === undefined ? [] : [field.enum];
  });
}
