import { readFileSync } from "node:fs";
import { join } from "node:path";
import { globSync } from "tinyglobby";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");

/**
 * Matches code that handles signals without the functions of base/abort.ts. A listener that is
 * added after an await without checking `aborted` misses the abort, and Node keeps a signal of
 * `AbortSignal.any` for as long as one of its sources.
 */
const own =
  /addEventListener\(\s*["'`]abort|\.onabort\b|\bonce\([^)]*["'`]abort|AbortSignal\.any\(/;

/** The one file that may listen, which the functions of base/abort.ts are built on. */
const listener = "runtime/src/base/abort-watch.ts";

function violations(sources: readonly (readonly [file: string, source: string])[]): string[] {
  // Comments may name what code must not use.
  const code = (source: string) => source.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
  return sources
    .filter(([file, source]) => file !== listener && own.test(code(source)))
    .map(([file]) => file);
}

describe("only base/abort.ts listens for aborts", () => {
  test("in the runtime, the drivers and the command line", () => {
    const files = globSync(["runtime/src/**/*.ts", "drivers/*/src/**/*.ts", "cli/src/**/*.ts"], {
      cwd: root,
      ignore: ["**/*.test.ts"],
    });
    expect(files).toContain(listener);
    const sources = files.map((file) => [file, readFileSync(join(root, file), "utf8")] as const);
    expect(violations(sources)).toEqual([]);
  });

  test.each([
    'signal.addEventListener("abort", stop, { once: true });',
    "signal.onabort = stop;",
    'await once(signal, "abort");',
    "const both = AbortSignal.any([signal, this.#closing.signal]);",
  ])("and elsewhere it is found: %s", (code) => {
    expect(violations([["runtime/src/planted.ts", code]])).toEqual(["runtime/src/planted.ts"]);
    expect(violations([["runtime/src/planted.ts", `// ${code}\n`]])).toEqual([]);
  });
});
