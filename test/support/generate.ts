/**
 * Generates code for every buf.gen.yaml of the repository: `npm run generate`. With `--check`
 * nothing is written and the status is 1 when the output that is checked in is not what would be
 * generated.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { promisify } from "node:util";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);

await requirePinned("@bufbuild/protoc-gen-es");
if (process.argv.includes("--check")) {
  const different = await check();
  for (const file of different) console.error(`generated code is out of date: ${file}`);
  if (different.length > 0) {
    console.error("run `npm run generate` and commit what it writes");
    process.exitCode = 1;
  }
} else {
  await generate(root);
}

/**
 * Exits where another version of a package is installed than package.json pins: its output would
 * differ.
 */
async function requirePinned(name: string): Promise<void> {
  const parse = async (file: string) => JSON.parse((await read(root, file)) ?? "{}");
  const pinned: string = (await parse("package.json")).devDependencies[name];
  const { version } = await parse(`node_modules/${name}/package.json`);
  if (version === pinned) return;
  console.error(
    `package.json pins ${name} ${pinned}, but ${version ?? "none"} is installed; run \`npm ci\` first`,
  );
  process.exit(1);
}

async function generate(output: string): Promise<void> {
  const bin = join(root, "node_modules/.bin");
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
  await Promise.all(
    (await templates()).map((template) =>
      run(join(bin, "buf"), ["generate", "--template", template, "--output", output], {
        cwd: root,
        env,
      }),
    ),
  );
}

/** The files that differ, are missing, or are there and would not be written. */
async function check(): Promise<string[]> {
  const scratch = await mkdtemp(join(tmpdir(), "micro-generate-"));
  try {
    await generate(scratch);
    const expected = await filesUnder(scratch);
    const present = (await Promise.all((await outputs()).map(filesUnder))).flat();
    const names = new Set([
      ...expected.map((file) => relative(scratch, file)),
      ...present.map((file) => relative(root, file)),
    ]);
    const different: string[] = [];
    for (const name of [...names].sort()) {
      const [wanted, found] = await Promise.all([scratch, root].map((base) => read(base, name)));
      if (wanted !== found) different.push(name);
    }
    return different;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function templates(): Promise<string[]> {
  const packages = async (folder: string) =>
    (await readdir(join(root, folder))).map((name) => join(folder, name));
  const candidates = [
    "",
    "runtime",
    "protoc-gen-micro",
    "test",
    "test/bench",
    ...(await packages("drivers")),
    ...(await packages("examples")),
  ];
  const found: string[] = [];
  for (const folder of candidates) {
    const template = join(folder, "buf.gen.yaml");
    if ((await read(root, template)) !== undefined) found.push(template);
  }
  return found;
}

/** The folders that generated code is in. */
async function outputs(): Promise<string[]> {
  const folders = new Set<string>();
  for (const template of await templates()) {
    const text = (await read(root, template)) ?? "";
    for (const [, out] of text.matchAll(/^ +out: (\S+)$/gm)) folders.add(join(root, out!));
  }
  return [...folders];
}

async function filesUnder(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

async function read(base: string, name: string): Promise<string | undefined> {
  try {
    return await readFile(join(base, name), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
