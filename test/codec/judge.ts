import { spawnSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { npmPackage } from "./npm-package.ts";

/** What protoc, Google's implementation in C++, makes of bytes. */
export interface Judge {
  /** The message as text; undefined where the bytes are refused. */
  text(typeName: string, bytes: Uint8Array): string | undefined;
}

const version = "36.2.0";

/**
 * `protoc --decode`, from the npm package that has it as a program.
 *
 * @param folder holds the .proto files
 * @throws Error when it cannot be fetched or does not run here
 */
export function protocJudge(folder: string, files: readonly string[]): Judge {
  const root = npmPackage("protoc", version);
  const system = process.platform === "darwin" ? "osx" : "linux";
  const machine = process.arch === "arm64" ? "aarch_64" : "x86_64";
  const program = join(root, `bin/protoc-${system}-${machine}`);
  chmodSync(program, 0o755);
  const include = [`-I${folder}`, `-I${join(root, "include")}`];
  return {
    text(typeName, bytes) {
      const file = files.find((name) => name === `${typeName.split(".")[0]}.proto`);
      if (file === undefined) throw new Error(`no file declares ${typeName}`);
      const { status, stdout, stderr, error } = spawnSync(
        program,
        [...include, `--decode=${typeName}`, file],
        {
          input: bytes,
          encoding: "latin1",
          maxBuffer: 1 << 26,
        },
      );
      // Bytes that are refused early may not be read to their end.
      if (error !== undefined && (error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
      if (status !== 0 && !/Failed to parse input/.test(stderr))
        throw new Error(`protoc: ${stderr}`);
      return status === 0 ? lastEntries(stdout) : undefined;
    },
  };
}

/**
 * protoc prints all entries of a map with one key, of which the last counts, one behind the other.
 */
function lastEntries(text: string): string {
  return text.replace(
    /^( *)(\w+) \{\n\1 {2}key: (.*)\n(?:\1 {2}.*\n)*\1\}\n(?=\1\2 \{\n\1 {2}key: \3\n)/gm,
    "",
  );
}
