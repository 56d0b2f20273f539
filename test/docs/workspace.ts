import { execFile } from "node:child_process";
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { allProgramsOf, type Block, type Program } from "./blocks.ts";

const run = promisify(execFile);
const repository = join(import.meta.dirname, "../..");
const bin = (name: string) => join(repository, "node_modules/.bin", name);

/** An error of the type checker at a line of a page. */
export interface PageError {
  /** Such as `docs/testing.md:12`. */
  readonly where: string;
  readonly message: string;
}

/** The programs of pages in a folder, each page with the generated code of all schemas. */
export interface Workspace {
  readonly programs: readonly Program[];
  /** Path of a program's file. */
  fileOf(program: Program): string;
  /** What the type checker finds, in one run over all programs. */
  typeErrors(): Promise<readonly PageError[]>;
}

/**
 * Writes the programs of these blocks, generates code from the examples' schemas and from their
 * `proto file=…` blocks, and links both as `gen` and `proto` into the folder of each page's
 * programs.
 *
 * @param folder is emptied first; it has to be inside the repository, where packages are found.
 * @throws Error when the schemas do not generate, with the plugin's own words.
 */
export async function createWorkspace(
  folder: string,
  blocks: readonly Block[],
): Promise<Workspace> {
  await rm(folder, { recursive: true, force: true });
  const programs = allProgramsOf(blocks);
  const fileOf = ({ page, file }: Program) => join(folder, folderOf(page), file);
  await generate(folder, blocks);
  for (const program of programs) {
    const file = fileOf(program);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, `${program.text}\nexport {};\n`);
  }
  for (const page of new Set(programs.map(({ page }) => page))) {
    for (const name of ["gen", "proto"]) {
      await symlink(join(folder, name), join(folder, folderOf(page), name));
    }
  }
  const pages = new Map(
    programs.map((program) => [relative(folder, fileOf(program)), program.page]),
  );
  return { programs, fileOf, typeErrors: () => typeErrors(folder, pages) };
}

/**
 * The folder of a page's programs: `testing` of `docs/testing.md`, `runtime-src-store-store.ts` of
 * a source file.
 */
function folderOf(page: string): string {
  return page.endsWith(".md") ? basename(page, ".md") : page.replaceAll("/", "-");
}

async function generate(folder: string, blocks: readonly Block[]): Promise<void> {
  const schemas = join(folder, "proto");
  await cp(join(import.meta.dirname, "proto"), schemas, { recursive: true });
  for (const example of ["greeter", "shop"]) {
    await cp(join(repository, "examples", example, "proto"), schemas, { recursive: true });
  }
  for (const { language, marks, text, line, page } of blocks) {
    const name = marks.find((mark) => mark.startsWith("file="))?.slice("file=".length);
    if (language !== "proto" || name === undefined) continue;
    const file = join(schemas, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, `// ${page}:${line}\n${text}\n`);
  }
  await cp(join(repository, "proto"), join(folder, "options"), { recursive: true });
  const options = [
    "target=ts",
    "import_extension=js",
    "rewrite_imports=./micro/v1/*.js:@micro-es/runtime/gen",
  ];
  const generator = ["node", "--import", "tsx", "--conditions=@micro-es/source"];
  const plugin = (local: readonly string[]) => ({
    local,
    out: "gen",
    strategy: "all",
    opt: options,
  });
  const write = (name: string, value: object) =>
    writeFile(join(folder, name), JSON.stringify(value));
  await write("buf.yaml", { version: "v2", modules: [{ path: "proto" }, { path: "options" }] });
  await write("buf.gen.yaml", {
    version: "v2",
    inputs: [{ directory: "proto" }],
    plugins: [
      plugin(["protoc-gen-es"]),
      plugin([...generator, join(repository, "protoc-gen-micro/src/main.ts")]),
    ],
  });
  const PATH = `${join(repository, "node_modules/.bin")}:${process.env.PATH}`;
  await run(bin("buf"), ["generate"], { cwd: folder, env: { ...process.env, PATH } });
}

async function typeErrors(
  folder: string,
  pages: ReadonlyMap<string, string>,
): Promise<readonly PageError[]> {
  const tsconfig = {
    extends: join(repository, "tsconfig.check.json"),
    // By default, the enums of protoc-gen-es are not erasable.
    compilerOptions: { erasableSyntaxOnly: false },
    include: [...pages.keys()],
    exclude: [],
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(tsconfig));
  const output = await run(bin("tsc"), ["-p", folder, "--pretty", "false"], { cwd: folder }).then(
    () => "",
    (error: { stdout?: string; message: string }) => error.stdout || error.message,
  );
  const errors: PageError[] = [];
  for (const text of output.split(/\n(?=\S)/).filter((it) => it.trim() !== "")) {
    const found = /^(\S+?)\((\d+),\d+\): error (.*)$/s.exec(text);
    const [, file = "", line = "", message = text] = found ?? [];
    const page = pages.get(file);
    errors.push({ where: page === undefined ? file : `${page}:${line}`, message: message.trim() });
  }
  return errors;
}

/** The pages of `docs/`, by their paths in the repository. */
export async function readPages(): Promise<ReadonlyMap<string, string>> {
  const names = (await readdir(join(repository, "docs"))).filter((name) => name.endsWith(".md"));
  const pages = names.sort().map(async (name): Promise<[string, string]> => {
    return [`docs/${name}`, await readFile(join(repository, "docs", name), "utf8")];
  });
  return new Map(await Promise.all(pages));
}
