import type { AnyDesc, DescEnum, DescFile, DescMessage } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { safeIdentifier } from "@bufbuild/protoplugin";

/** The names that protoc-gen-es exports from the `_pb` file of a .proto. */
export interface PbNames {
  /** All names, to avoid clashes with them. */
  readonly all: ReadonlySet<string>;
  /** The type of a message or enum. */
  readonly shapes: ReadonlyMap<AnyDesc, string>;
  /** The constant that describes the file, message, enum, extension or service. */
  readonly descriptors: ReadonlyMap<AnyDesc, string>;
}

const cache = new WeakMap<DescFile, PbNames>();

/**
 * Computes the names that protoc-gen-es uses: types first, then descriptors, with the suffix `$`,
 * `$1`, … if a name is taken. protoplugin computes the same names, but walks the whole file for
 * each of them, which takes minutes for a file with a thousand messages.
 */
export function pbNames(file: DescFile): PbNames {
  let names = cache.get(file);
  if (names === undefined) {
    names = allocate(file);
    cache.set(file, names);
  }
  return names;
}

function allocate(file: DescFile): PbNames {
  const all = new Set<string>();
  const shapes = new Map<AnyDesc, string>();
  const descriptors = new Map<AnyDesc, string>();
  const take = (base: string): string => {
    let name = safeIdentifier(base);
    for (let attempt = 1; all.has(name); attempt++) {
      name = safeIdentifier(base + (attempt === 1 ? "$" : `$${attempt - 1}`));
    }
    all.add(name);
    return name;
  };
  for (const desc of nestedTypes(file)) {
    if (isShape(desc)) shapes.set(desc, take(identifier(desc)));
  }
  descriptors.set(file, take(`file_${file.name.replace(/[^a-zA-Z0-9_]+/g, "_")}`));
  for (const desc of nestedTypes(file)) {
    descriptors.set(desc, take(identifier(desc) + (isShape(desc) ? "Schema" : "")));
  }
  return { all, shapes, descriptors };
}

function isShape(desc: AnyDesc): desc is DescEnum | DescMessage {
  return desc.kind === "enum" || desc.kind === "message";
}

/** The name of a type without its package, `Parent_Child` for a nested one. */
export function identifier(desc: { readonly typeName: string; readonly file: DescFile }): string {
  const packageName = desc.file.proto.package;
  const offset = packageName === "" ? 0 : packageName.length + 1;
  return desc.typeName.slice(offset).replaceAll(".", "_");
}
