import { createHash } from "node:crypto";
import {
  create,
  createFileRegistry,
  type DescMessage,
  type FileRegistry,
  fromBinary,
} from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import * as wkt from "@bufbuild/protobuf/wkt";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { MicroError } from "@micro-es/runtime";

/**
 * Limits for the schema of a server. All public APIs of Google together have about 5,000 files, 10
 * MiB and 100,000 definitions; imports of real schemas are fewer than 50 deep.
 */

const maxFiles = 10_000;
const maxBytes = 32 * 1024 * 1024;
/**
 * Messages, fields, values, methods and everything else that becomes an object once it is decoded.
 */
const maxDefinitions = 250_000;
const maxImportDepth = 256;
/** The nesting limit of protobuf-es. */
const maxMessageDepth = 100;

/** Files that protobuf-es includes, and whose messages it treats specially. */
const wellKnownFiles = new Map(
  Object.values(wkt).flatMap((value) =>
    typeof value === "object" && "kind" in value && value.kind === "file"
      ? [[value.proto.name, value] as const]
      : [],
  ),
);
const wellKnownTypes = new Set(
  [...wellKnownFiles.values()].flatMap((file) =>
    Array.from(nestedTypes(file), ({ typeName }) => typeName),
  ),
);

/**
 * The files that a server sends to describe its services, within limits and checked before anything
 * is built from them.
 */
export class ReflectedFiles {
  readonly #server: string;
  readonly #files = new Map<string, FileDescriptorProto>();
  readonly #missing = new Set<string>();
  readonly #services = new Set<string>();
  /** Digests of added files: servers send a file again for each service in it. */
  readonly #seen = new Set<string>();
  #bytes = 0;
  #definitions = 0;

  /** @param server its name in errors. */
  constructor(server: string) {
    this.#server = server;
  }

  has(name: string): boolean {
    return this.#files.has(name);
  }

  hasService(name: string): boolean {
    return this.#services.has(name);
  }

  /** A file that others import and that is missing. */
  get missing(): string | undefined {
    return this.#missing.values().next().value;
  }

  /**
   * Adds files as reflection sends them.
   *
   * @throws MicroError `resource_exhausted` beyond the limits, `data_loss` for bytes that are not a
   * descriptor.
   */
  add(files: readonly Uint8Array[]): void {
    // Before any of them is decoded: two bytes on the wire can be a file.
    this.#require(files.length <= maxFiles, `more than ${maxFiles} files`);
    for (const bytes of files) this.#add(bytes);
  }

  #add(bytes: Uint8Array): void {
    const digest = createHash("sha256").update(bytes).digest("base64");
    if (this.#seen.has(digest)) return;
    this.#seen.add(digest);
    this.#bytes += bytes.length;
    this.#require(this.#bytes <= maxBytes, `more than ${maxBytes / 2 ** 20} MiB`);
    const file = this.#decode(bytes);
    if (file.name === "") throw this.#invalid("a file has no name");
    const own = wellKnownFiles.get(file.name);
    if (own === undefined && this.has(file.name)) {
      throw this.#invalid(`it describes ${quote(file.name)} twice, differently`);
    }
    this.#take(own?.proto ?? file);
  }

  #take(file: FileDescriptorProto): void {
    this.#require(this.#files.size < maxFiles, `more than ${maxFiles} files`);
    this.#files.set(file.name, file);
    this.#missing.delete(file.name);
    for (const { name } of file.service) {
      this.#services.add(file.package === "" ? name : `${file.package}.${name}`);
    }
    for (const name of file.dependency) {
      const own = wellKnownFiles.get(name);
      if (this.has(name)) continue;
      if (own === undefined) this.#missing.add(name);
      else this.#take(own.proto);
    }
    this.#require(this.#missing.size <= maxFiles, `imports of more than ${maxFiles} files`);
  }

  #decode(bytes: Uint8Array): FileDescriptorProto {
    try {
      this.#definitions += countMessages(
        FileDescriptorProtoSchema,
        bytes,
        maxDefinitions - this.#definitions,
      );
      this.#require(this.#definitions <= maxDefinitions, `more than ${maxDefinitions} definitions`);
      return fromBinary(FileDescriptorProtoSchema, bytes);
    } catch (reason) {
      if (reason instanceof MicroError) throw reason;
      throw this.#invalid((reason as Error).message, reason);
    }
  }

  /**
   * The types of all files.
   *
   * @throws MicroError `data_loss` for files that are not a valid schema together.
   */
  registry(): FileRegistry {
    const file = this.#inOrder();
    let registry: FileRegistry;
    try {
      registry = createFileRegistry(create(FileDescriptorSetSchema, { file }));
    } catch (reason) {
      throw this.#invalid((reason as Error).message, reason);
    }
    for (const desc of registry.files) {
      for (const type of nestedTypes(desc)) {
        const { typeName } = type;
        const foreign = wellKnownTypes.has(typeName) && !wellKnownFiles.has(desc.proto.name);
        if (foreign || registry.get(typeName) !== type) {
          throw this.#invalid(
            `${quote(desc.proto.name)} defines ${quote(typeName)}, which another file defines`,
          );
        }
      }
    }
    return registry;
  }

  /**
   * Each file after its imports, as a registry requires. Without recursion, because chains of
   * imports are long.
   */
  #inOrder(): FileDescriptorProto[] {
    const done = new Map<string, FileDescriptorProto>();
    for (const root of this.#files.keys()) {
      const path: { readonly name: string; next: number }[] = [];
      const open = new Set<string>();
      const enter = (name: string) => {
        if (open.has(name)) {
          const circle = [...path.map((it) => it.name), name].slice(-4).map(quote).join(" → ");
          throw this.#invalid(`its imports form a circle: ${circle}`);
        }
        open.add(name);
        path.push({ name, next: 0 });
        this.#require(
          path.length <= maxImportDepth,
          `imports that are more than ${maxImportDepth} files deep`,
        );
      };
      if (!done.has(root)) enter(root);
      for (let step = path.at(-1); step !== undefined; step = path.at(-1)) {
        const file = this.#files.get(step.name);
        const dependency = file?.dependency[step.next++];
        if (dependency !== undefined) {
          if (!done.has(dependency)) enter(dependency);
          continue;
        }
        if (file !== undefined) done.set(step.name, file);
        open.delete(step.name);
        path.pop();
      }
    }
    return [...done.values()];
  }

  #require(within: boolean, what: string): void {
    if (within) return;
    throw new MicroError(
      "resource_exhausted",
      `the schema of ${this.#server} has ${what}, more than any real schema; set --proto or --descriptor-set instead`,
    );
  }

  #invalid(why: string, cause?: unknown): MicroError {
    return new MicroError(
      "data_loss",
      `the schema of ${this.#server} is not valid: ${why}; set --proto or --descriptor-set instead`,
      { cause },
    );
  }
}

/** Fields that are messages, by number. */
const messageFields = new Map<DescMessage, ReadonlyMap<number, DescMessage>>();

function messagesIn(desc: DescMessage): ReadonlyMap<number, DescMessage> {
  let found = messageFields.get(desc);
  if (found === undefined) {
    found = new Map(desc.fields.flatMap((it) => (it.message ? [[it.number, it.message]] : [])));
    messageFields.set(desc, found);
  }
  return found;
}

/**
 * Number of messages in the bytes of a message, including itself, without decoding it: a message of
 * two bytes becomes an object of hundreds. Stops soon after `most`.
 */
function countMessages(desc: DescMessage, bytes: Uint8Array, most: number, depth = 1): number {
  if (depth > maxMessageDepth) {
    throw new Error(`messages are nested more than ${maxMessageDepth} deep`);
  }
  const reader = new BinaryReader(bytes);
  const messages = messagesIn(desc);
  let count = 1;
  while (reader.pos < reader.len && count <= most) {
    const [number, type] = reader.tag();
    const message = type === WireType.LengthDelimited ? messages.get(number) : undefined;
    if (message === undefined) reader.skip(type, number);
    else count += countMessages(message, reader.bytes(), most - count, depth + 1);
  }
  return count;
}

function quote(name: string): string {
  return name.length > 100 ? `${name.slice(0, 100)}…` : name;
}
