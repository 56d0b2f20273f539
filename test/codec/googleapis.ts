import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  create,
  createFileRegistry,
  type DescMessage,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, type FileDescriptorSet } from "@bufbuild/protobuf/wkt";
import type { AnyCodec, MessageCodec } from "@micro-es/runtime";
import { loadDescriptors } from "@micro-es/runtime/codec";
import { pbNames } from "../../protoc-gen-micro/src/model/pb-names.ts";
import { generate } from "../../protoc-gen-micro/test/support/compile.ts";
import { googleImage, somePaths } from "./google-image.ts";
import { toHex } from "./hex.ts";
import { Random, randomMessage } from "./random-message.ts";
import { sameMessage } from "./same-message.ts";

/**
 * `npm run fuzz -- googleapis`: random messages of every type of Google's public APIs through the
 * generated codecs: bytes as protobuf-es writes them, objects as it reads them. `--part` takes some
 * APIs; `--messages N` (default 5) sets the number for each type. `--seed N` (default 1).
 */

const words = process.argv.slice(2);
const option = (name: string, fallback: number) => {
  const at = words.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(words[at + 1]);
};
const root = join(import.meta.dirname, "../..");
const cache = join(root, ".cache");
mkdirSync(cache, { recursive: true });
const folder = mkdtempSync(join(cache, "codec-googleapis-"));
try {
  process.exitCode = await check(option("messages", 5), option("seed", 1));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function check(messages: number, seed: number): Promise<number> {
  const began = performance.now();
  const image = googleImage(folder, words.includes("--part") ? somePaths : []);
  const files = image.file.filter(({ name }) => !name?.startsWith("google/protobuf/"));
  const request = create(CodeGeneratorRequestSchema, {
    fileToGenerate: files.map(({ name }) => name ?? ""),
    parameter: "target=js,import_extension=js,codec=fast",
    protoFile: image.file,
  });
  const generating = performance.now();
  const output = generate(request);
  const seconds = ((performance.now() - generating) / 1000).toFixed(1);
  for (const [name, text] of output) write(name, text);
  writeSchemas(image);
  console.log(`generated ${output.size} files in ${seconds} s`);

  const random = new Random(seed);
  let types = 0;
  let written = 0;
  const failures: string[] = [];
  for (const name of output.keys()) {
    const module = (await import(join(folder, name))) as Record<string, unknown>;
    await loadDescriptors();
    for (const [key, list] of Object.entries(module)) {
      if (!/Codecs\$*$/.test(key) || !Array.isArray(list)) continue;
      for (const codec of list as AnyCodec[]) {
        if (codec.typeName.startsWith("google.protobuf.")) continue;
        types++;
        for (let i = 0; i < messages; i++) {
          written++;
          const problem = difference(codec as MessageCodec<Message>, random);
          if (problem !== undefined) failures.push(`${codec.typeName}: ${problem}`);
        }
      }
    }
  }
  console.log(`${types} types, ${written} messages, ${failures.length} differ`);
  for (const failure of failures.slice(0, 20)) console.error(failure.slice(0, 500));
  console.log(`${((performance.now() - began) / 1000).toFixed(1)} s in all`);
  return failures.length === 0 && types > 0 ? 0 : 1;
}

function difference(codec: MessageCodec<Message>, random: Random): string | undefined {
  const schema: DescMessage = codec.schema!;
  const message = randomMessage(schema, random);
  const bytes = toBinary(schema, message);
  try {
    if (toHex(codec.encode(message)) !== toHex(bytes))
      return `written differently: ${toHex(bytes)}`;
    if (!sameMessage(codec.decode(bytes), fromBinary(schema, bytes))) {
      return `read differently: ${toHex(bytes)}`;
    }
  } catch (error) {
    return `${error}: ${toHex(bytes)}`;
  }
  return undefined;
}

/**
 * Descriptors for the codecs to be listed with: those of the image, which takes protoc-gen-es
 * minutes to write.
 */
function writeSchemas(image: FileDescriptorSet): void {
  const registry = createFileRegistry(image);
  (globalThis as { googleapisRegistry?: unknown }).googleapisRegistry = registry;
  for (const file of registry.files) {
    const lines = ["const registry = globalThis.googleapisRegistry;"];
    for (const [desc, name] of pbNames(file).descriptors) {
      if (desc.kind !== "message") continue;
      lines.push(`export const ${name} = registry.getMessage(${JSON.stringify(desc.typeName)});`);
    }
    write(`${file.name}_pb.js`, `${lines.join("\n")}\n`);
  }
}

function write(name: string, text: string): void {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
