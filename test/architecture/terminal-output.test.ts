import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");

/** The files that may name a stream of the process or a control sequence, and why. */
const allowed = {
  streams: new Map([
    ["cli/src/program.ts", "hands the streams to Output"],
    ["runtime/src/base/logger.ts", "writes lines that it escaped"],
  ]),
  sequences: new Map([
    ["cli/src/text.ts", "styles, and the colours of other programs"],
    ["cli/src/output.ts", "clears the screen"],
    ["cli/src/progress.ts", "erases its line"],
  ]),
};
const streams = new RegExp(
  [
    String.raw`\bconsole\b\s*[.[;]`,
    String.raw`process\s*\.\s*(?:stdout|stderr|_rawDebug)`,
    String.raw`\b(?:stdout|stderr)\b[^}]*\}\s*=\s*process\b`,
    String.raw`(?:from|import\(|require\()\s*["'](?:node:)?(?:process|console|tty)["']`,
    "/dev/(?:stdout|stderr|tty)",
    String.raw`writeSync\(\s*[12]\b`,
  ].join("|"),
);
const sequences = /\\u001b|\\u\{1b\}|\\x1b|\\e\[/i;

/** Where text could reach a terminal without Output, or with a control sequence of its own. */
function violations(file: string, source: string): string[] {
  // Examples in doc comments are code of users.
  const code = source.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const found: string[] = [];
  if (streams.test(code) && !allowed.streams.has(file)) {
    found.push(
      `${file} names an output stream; write with Output of cli/src/output.ts or a Logger`,
    );
  }
  if (sequences.test(code) && !allowed.sequences.has(file)) {
    found.push(`${file} has a control sequence; use styled() of cli/src/text.ts`);
  }
  return found;
}

function sources(folder: string): [file: string, source: string][] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /(?<!\.test)\.ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [relative(root, path), readFileSync(path, "utf8")]);
}

describe("text reaches a terminal through one writer", () => {
  const all = [...sources("cli/src"), ...sources("runtime/src")];

  test("in the command line program and the runtime", () => {
    expect(all.flatMap(([file, source]) => violations(file, source))).toEqual([]);
  });

  test("and no exception is left over", () => {
    const files = new Map(all);
    for (const [names, pattern] of [
      [allowed.streams, streams],
      [allowed.sequences, sequences],
    ] as const) {
      for (const file of names.keys()) expect(files.get(file), file).toMatch(pattern);
    }
  });

  test.each([
    ["process.stdout.write(name)", /output stream/],
    ["console.log(name)", /output stream/],
    ["const { log } = console;", /output stream/],
    ["process.stderr.write(name)", /output stream/],
    ["const { stdout } = process;", /output stream/],
    ['import { stdout } from "node:process";', /output stream/],
    ["writeSync(1, name)", /output stream/],
    ['writeFileSync("/dev/stdout", name)', /output stream/],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: source that is examined
    ["const red = `\\u001b[31m${name}`;", /control sequence/],
    ['const red = "\\x1b[31m";', /control sequence/],
  ])("fails on %s in a command", (source, complaint) => {
    expect(violations("cli/src/commands/new-command.ts", source).join()).toMatch(complaint);
  });
});
