import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import type { Block } from "./blocks.ts";

const repository = join(import.meta.dirname, "../..");

/** The `@example` blocks in the doc comments of the runtime and the drivers, to be type-checked. */
export function readExamples(): readonly Block[] {
  const drivers = readdirSync(join(repository, "drivers"));
  return ["runtime/src", ...drivers.map((name) => `drivers/${name}/src`)].flatMap((folder) =>
    readdirSync(join(repository, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
      .map((file) => join(repository, folder, file))
      .flatMap((path) =>
        examplesOf(relative(repository, path).split(sep).join("/"), readFileSync(path, "utf8")),
      ),
  );
}

/** The examples of one file. @throws Error for an example that is not a block of TypeScript. */
export function examplesOf(file: string, source: string): readonly Block[] {
  const lines = source.split("\n");
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at++) {
    if (!/^\s*\* @example\s*$/.test(lines[at] ?? "")) continue;
    if (!/^\s*\* ```ts$/.test(lines[at + 1] ?? "")) {
      throw new Error(`${file}:${at + 2}: an @example begins with a line of \`\`\`ts`);
    }
    const text: string[] = [];
    at += 2;
    const line = at + 1;
    while (at < lines.length && !/^\s*\* ```$/.test(lines[at] ?? "")) {
      text.push((lines[at] ?? "").replace(/^\s*\* ?/, ""));
      at++;
    }
    blocks.push({ page: file, line, language: "ts", marks: ["check"], text: text.join("\n") });
  }
  return blocks;
}
