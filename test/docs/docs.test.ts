import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatWithOptions, promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { parse } from "yaml";
import { testInCi } from "../support/long.ts";
import { allProgramsOf, blocksOf, type Program, programsOf } from "./blocks.ts";
import { examplesOf, readExamples } from "./examples.ts";
import { anchorsOf, brokenLinks } from "./links.ts";
import { createWorkspace, type PageError, readPages, type Workspace } from "./workspace.ts";

const repository = join(import.meta.dirname, "../..");
const folder = join(repository, ".cache/docs");
const pages = await readPages();
const planted = "docs/planted.md";
const mistakes = `# Planted

\`\`\`ts run
import { createGreeterClient } from "./gen/greeter/v1/greeter_micro.js";
const size: number = 42;
console.log(size); // 41
\`\`\`

\`\`\`ts continue
const text: string = size;
\`\`\`

\`\`\`ts test
import { test } from "node:test";
test("fails", () => {
  throw new Error("as planted");
});
\`\`\`
`;

const blocks = [...pages].flatMap(([page, text]) => blocksOf(page, text));
const examples = readExamples();
const plantedExample = examplesOf(
  "runtime/src/planted.ts",
  '/**\n * Planted.\n *\n * @example\n * ```ts\n * const size: number = "42";\n * ```\n */\nexport {};',
);
const allPrograms = allProgramsOf(blocks);
let workspace: Workspace;
let errors: readonly PageError[];

beforeAll(async () => {
  workspace = await createWorkspace(folder, [
    ...blocks,
    ...blocksOf(planted, mistakes),
    ...examples,
    ...plantedExample,
  ]);
  errors = await workspace.typeErrors();
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

/** What a program prints, a string for each `console.log`. */
async function printed(program: Program): Promise<readonly string[]> {
  const lines: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((...values: unknown[]) => {
    lines.push(formatWithOptions({ breakLength: Number.POSITIVE_INFINITY }, ...values));
  });
  try {
    await import(workspace.fileOf(program));
  } finally {
    log.mockRestore();
  }
  return lines;
}

/**
 * Runs programs that are made of tests of `node:test`, in one process. Rejects when one fails, with
 * the report.
 */
async function runTests(name: string, programs: readonly Program[]): Promise<void> {
  const main = join(folder, name);
  const imports = programs.map((it) => `import ${JSON.stringify(workspace.fileOf(it))};`);
  await writeFile(main, imports.join("\n"));
  const env: NodeJS.ProcessEnv = { ...process.env };
  delete env.NODE_TEST_CONTEXT;
  const options = ["--import", "tsx", "--conditions=@micro-es/source", "--test-reporter=tap"];
  const { stdout } = await promisify(execFile)(process.execPath, [...options, main], {
    cwd: repository,
    env,
  }).catch(({ stdout, stderr }) => {
    throw new Error(`${stdout}${stderr}`);
  });
  const passed = Number(/^# pass (\d+)$/m.exec(stdout)?.[1]);
  expect(passed, stdout).toBeGreaterThanOrEqual(programs.length);
}

describe("the code in docs/", () => {
  test("type-checks, and a planted error is found at its line", () => {
    const found = errors.filter(({ where }) => where.startsWith(planted));
    expect(found.map(({ where }) => where)).toEqual([`${planted}:10`]);
    const inPages = errors.filter(({ where }) => where.startsWith("docs/"));
    expect(inPages.filter((error) => !found.includes(error))).toEqual([]);
  });

  test("type-checks in the examples of doc comments, and a planted error is found", () => {
    const inSources = errors.filter(({ where }) => !where.startsWith("docs/"));
    expect(inSources.map(({ where, message }) => `${where} ${message}`)).toEqual([
      "runtime/src/planted.ts:6 TS2322: Type 'string' is not assignable to type 'number'.",
    ]);
    expect(examples.length).toBeGreaterThanOrEqual(40);
  });

  for (const program of allPrograms.filter(({ runs }) => runs === "as a program")) {
    test(`${program.page} ${program.file} prints what it says`, async () => {
      expect(await printed(program)).toEqual(program.prints);
    });
  }

  testInCi(
    "passes if it contains tests",
    async () => {
      await runTests(
        "tests.ts",
        allPrograms.filter(({ runs }) => runs === "as tests"),
      );
    },
    180_000,
  );

  test("is reported if it prints something else, or fails its tests", async () => {
    const [printing, failing] = workspace.programs.filter(({ page }) => page === planted);
    expect(printing?.prints).toEqual(["41"]);
    expect(await printed(printing!)).toEqual(["42"]);
    await expect(runTests("planted.ts", [failing!])).rejects.toThrow("as planted");
  });

  test("is marked, so that nothing is left out by mistake", () => {
    const check = (markdown: string) => programsOf(blocksOf("a.md", markdown));
    expect(() => check("```ts check\n```\n```ts\n```")).toThrow(/a\.md:4.*not checked/);
    expect(() => check("```ts chekc\n```")).toThrow(/a\.md:2.*chekc/);
    expect(() => check("```ts continue\n```")).toThrow(/nothing|no block/);
    expect(check("```ts\n```")).toEqual([]);
  });

  test("parses where it is JSON or YAML", () => {
    for (const { language, text, marks, page, line } of blocks) {
      if (marks.includes("fragment")) continue;
      const where = `${page}:${line}`;
      if (language === "json") expect(() => JSON.parse(text), where).not.toThrow();
      if (language === "yaml") {
        for (const part of text.split(/^---$/m)) expect(() => parse(part), where).not.toThrow();
      }
    }
  });
});

describe("the pages of docs/", () => {
  test("have no broken links", () => {
    const outside = ["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(
      (page) => [page, readFileSync(join(repository, page), "utf8")] as const,
    );
    const broken = [...outside, ...pages].flatMap(([page, text]) =>
      brokenLinks(repository, page, text),
    );
    expect(broken).toEqual([]);
  });

  test("are all in the table of contents, once", () => {
    const contents = pages.get("docs/README.md") ?? "";
    const listed = [...contents.matchAll(/\]\(([a-z0-9-]+\.md)\)/g)].map(
      ([, name]) => `docs/${name}`,
    );
    const expected = [...pages.keys()].filter((page) => page !== "docs/README.md");
    expect(listed.toSorted()).toEqual(expected);
  });

  test("are searched for broken links", () => {
    const text =
      "# A [b](c) `d`\n[x](#a-b-d) [y](#nowhere) [z](missing.md) [w](service.md#environment)";
    expect([...anchorsOf(text)]).toEqual(["a-b-d"]);
    expect(brokenLinks(repository, "docs/testing.md", text.replace("[b](c)", "b"))).toEqual([
      "docs/testing.md: #nowhere has no such heading",
      "docs/testing.md: missing.md does not exist",
    ]);
  });
});
