import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runBuf } from "../buf/run-buf.ts";
import { UsageError } from "../errors.ts";
import type { RuleChoice } from "./rules.ts";

/** A change in the new schema that breaks programs on the old one. */
export interface Change {
  readonly rule: string;
  readonly message: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Compares descriptor sets by `buf breaking` with buf-plugin-micro. */
export async function changesBetween(
  before: Uint8Array,
  after: Uint8Array,
  { use, except }: RuleChoice,
  project: string,
): Promise<readonly Change[]> {
  const scratch = await mkdtemp(join(tmpdir(), "micro-breaking-"));
  try {
    const [old, current] = [join(scratch, "running.binpb"), join(scratch, "built.binpb")];
    await Promise.all([writeFile(old, before), writeFile(current, after)]);
    const config = {
      version: "v2",
      breaking: { use: [...use, "MICRO"], except },
      plugins: [{ plugin: "buf-plugin-micro" }],
    };
    const lines = await runBuf(
      [
        "breaking",
        ...[current, "--against", old, "--config", JSON.stringify(config)],
        ...["--error-format", "json"],
      ],
      project,
    );
    return lines.map(readChange);
  } catch (reason) {
    if (!(reason instanceof UsageError) || !/"buf-plugin-micro" failed: exec/.test(reason.message))
      throw reason;
    throw new UsageError(
      "comparing with a fleet needs buf-plugin-micro, which is part of the generator: npm i -D protoc-gen-micro",
    );
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function readChange(line: string): Change {
  const found = JSON.parse(line) as {
    readonly path?: string;
    readonly start_line?: number;
    readonly start_column?: number;
    readonly type: string;
    readonly message: string;
  };
  return {
    rule: found.type,
    message: found.message,
    file: found.path ?? "",
    line: found.start_line ?? 1,
    column: found.start_column ?? 1,
  };
}
