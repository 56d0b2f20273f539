import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { DescMessage } from "@bufbuild/protobuf";
import type { AnyCodec, MessageCodec } from "@micro-es/runtime";
import { CodecRegistry, loadDescriptors } from "@micro-es/runtime/codec";
import { compile, generate, protocGenEs } from "../../protoc-gen-micro/test/support/compile.ts";
import { protobufContentType } from "../../runtime/src/codec/content-type.ts";

/** A generated codec of a message type that is only known by its name. */
// biome-ignore lint/suspicious/noExplicitAny: tests take messages apart whose types do not exist before they run
export type TestCodec = MessageCodec<any, any> & { readonly schema: DescMessage };

/** The output generated from .proto files. */
export interface Generated {
  /** The codec of a type, with its descriptor. */
  codec(typeName: string): TestCodec;
  readonly typeNames: readonly string[];
  /** What the output for a .proto file exports. */
  micro(name: string): Record<string, unknown>;
  pb(name: string): Record<string, unknown>;
  /** Where the files are. */
  readonly folder: string;
}

const here = import.meta.dirname;

/** All .proto files of a folder, by name. */
export function protoSources(folder: string): Record<string, string> {
  const sources: Record<string, string> = {};
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (name.endsWith(".proto")) sources[name] = readFileSync(join(folder, name), "utf8");
  }
  return sources;
}

/** Generates codecs for .proto files and loads them. */
export async function generated(sources: Readonly<Record<string, string>>): Promise<Generated> {
  const compiled = compile(sources, { withOptions: false });
  const names = Object.keys(sources);
  const parameter = "target=ts,import_extension=ts";
  const files = [
    ...generate(compiled.request(names, parameter), protocGenEs),
    ...generate(compiled.request(names, `${parameter},codec=fast`)),
  ];
  const folder = keep(files);
  const modules = new Map<string, Record<string, unknown>>();
  for (const [name] of files) modules.set(name, await import(join(folder, name)));
  const codecs = new CodecRegistry();
  for (const [name, module] of modules) {
    if (!name.endsWith("_micro.ts")) continue;
    for (const [key, value] of Object.entries(module)) {
      if (/Codecs\$*$/.test(key)) codecs.add(value as readonly AnyCodec[]);
    }
  }
  await loadDescriptors();
  const module = (name: string) => {
    const found = modules.get(name);
    if (found === undefined) throw new Error(`nothing was generated as ${name}`);
    return found;
  };
  return {
    codec: (typeName) => codecs.codec(typeName, protobufContentType) as TestCodec,
    typeNames: codecs.typeNames,
    micro: (name) => module(`${name}_micro.ts`),
    pb: (name) => module(`${name}_pb.ts`),
    folder,
  };
}

/** What the tests' own .proto files generate. */
export function testCodecs(): Promise<Generated> {
  return generated(protoSources(join(here, "proto")));
}

/** Writes files into a folder that has their hash for a name, so that the same are written once. */
function keep(files: readonly (readonly [string, string])[]): string {
  const hash = createHash("sha256");
  for (const [name, text] of files) hash.update(`${name}\0${text}\0`);
  const folder = join(here, ".cache", hash.digest("hex").slice(0, 16));
  if (existsSync(folder)) return folder;
  const scratch = `${folder}.${process.pid}`;
  for (const [name, text] of files) {
    mkdirSync(dirname(join(scratch, name)), { recursive: true });
    writeFileSync(join(scratch, name), text);
  }
  try {
    renameSync(scratch, folder);
  } catch {
    // Another process was faster.
    rmSync(scratch, { recursive: true, force: true });
  }
  return folder;
}
