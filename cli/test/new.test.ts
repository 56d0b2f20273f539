import { execFile } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { globSync } from "tinyglobby";
import { afterAll, describe, expect, test } from "vitest";
import { testInCi } from "../../test/support/long.ts";
import { versions } from "../src/templates/project.ts";
import { micro } from "./support/micro.ts";

const scratch = mkdtempSync(join(tmpdir(), "micro-new-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const folder = () => mkdtempSync(join(scratch, "in-"));

describe("micro new", () => {
  test.each(["service", "pubsub", "fullstack"])(
    "writes every file of a %s, with all placeholders filled",
    async (kind) => {
      const cwd = folder();
      const { stdout, code } = await micro(["new", "order-book", "--template", kind, "--json"], {
        cwd,
      });
      expect(code).toBe(0);
      const { files } = JSON.parse(stdout) as { files: string[] };
      for (const file of files) {
        const text = readFileSync(file, "utf8");
        expect(text, file).not.toMatch(/\{\{|undefined|\[object/);
        expect(text, file).toMatch(/[^\n]\n$/);
      }
      const proto = readFileSync(
        join(cwd, "order-book/proto/order_book/v1/order_book.proto"),
        "utf8",
      );
      expect(proto).toContain("package order_book.v1;");
      expect(proto).toContain("service OrderBookService {");
    },
  );

  testInCi("writes a driver that type-checks and passes the contract of registries", async () => {
    const cwd = folder();
    const { stdout, code } = await micro(["new", "order-book", "--template", "driver"], { cwd });
    expect(code).toBe(0);
    expect(stdout).toContain("npm test");
    const project = join(cwd, "order-book");
    const modules = join(import.meta.dirname, "../../node_modules");
    symlinkSync(modules, join(project, "node_modules"));
    const run = (...words: readonly string[]) =>
      promisify(execFile)(process.execPath, words, { cwd: project });
    const source = "@micro-es/source";
    const tsc = join(modules, "typescript/bin/tsc");
    await run(tsc, "--noEmit", "-p", "tsconfig.test.json", "--customConditions", source);
    const contract = join(project, "test/registry.test.ts");
    const tests = await run("--import", "tsx", `--conditions=${source}`, "--test", contract);
    expect(tests.stdout).toMatch(/# pass 1\d\n# fail 0/);
  });

  test("uses the same tool versions as this repository", () => {
    const { devDependencies } = JSON.parse(
      readFileSync(join(import.meta.dirname, "../../package.json"), "utf8"),
    );
    expect(versions).toEqual({
      protobuf: devDependencies["@bufbuild/protobuf"],
      buf: devDependencies["@bufbuild/buf"],
      protocGenEs: devDependencies["@bufbuild/protoc-gen-es"],
      typesNode: devDependencies["@types/node"],
      jose: devDependencies.jose,
      tsx: devDependencies.tsx,
      typescript: devDependencies.typescript,
    });
  });

  test("copies the tarballs of --packages into the project", async () => {
    const cwd = folder();
    const tarballs = ["runtime", "cli"].map((name) => `micro-es-${name}-9.9.9.tgz`);
    for (const name of [...tarballs, "protoc-gen-micro-9.9.9.tgz"]) {
      mkdirSync(join(cwd, "packages"), { recursive: true });
      writeFileSync(join(cwd, "packages", name), name);
    }
    expect((await micro(["new", "shop", "--packages", "packages"], { cwd })).code).toBe(0);
    const manifest = JSON.parse(readFileSync(join(cwd, "shop/package.json"), "utf8"));
    const { dependencies, devDependencies } = manifest;
    const local = Object.values({ ...dependencies, ...devDependencies } as Record<string, string>)
      .filter((it) => it.startsWith("file:"))
      .map((it) => it.slice("file:".length));
    expect(local).toHaveLength(3);
    for (const path of local) {
      expect(path).toMatch(/^vendor\//);
      expect(readFileSync(join(cwd, "shop", path), "utf8")).toBe(basename(path));
    }
    expect(readFileSync(join(cwd, "shop/Dockerfile"), "utf8")).toMatch(
      /COPY vendor \.\/vendor\nRUN npm ci\n/,
    );
    await micro(["new", "store"], { cwd });
    expect(readFileSync(join(cwd, "store/Dockerfile"), "utf8")).not.toContain("vendor");
  });

  test("never suggests npx micro, which would run another program if micro is not installed", async () => {
    const root = join(import.meta.dirname, "../..");
    const folders = ["README.md", "cli/README.md", "cli/src", "cli/templates", "docs", "examples"];
    const texts = folders.flatMap((path) =>
      path.endsWith(".md")
        ? [path]
        : globSync(`${path}/**/*.{md,ts,hbs}`, { cwd: root, ignore: ["**/node_modules/**"] }),
    );
    expect(texts.length).toBeGreaterThan(100);
    const wrong = texts.filter((path) =>
      /(?<!Not `)npx (?:-\S+ )*?(?<!--no-install )micro\b/.test(
        readFileSync(join(root, path), "utf8"),
      ),
    );
    expect(wrong).toEqual([]);
  });

  test("refuses a folder that is not empty, an invalid name, and an unknown template", async () => {
    const cwd = folder();
    mkdirSync(join(cwd, "shop"));
    writeFileSync(join(cwd, "shop/mine"), "");
    expect((await micro(["new", "shop"], { cwd })).stderr).toMatch(/shop exists and is not empty/);
    expect((await micro(["new", "My Shop"], { cwd })).stderr).toMatch(
      /"My Shop" is not a valid project name/,
    );
    const { stderr, code } = await micro(["new", "store", "--template", "pubsb"], { cwd });
    expect(stderr).toMatch(/no template pubsb; did you mean pubsub\?/);
    expect(code).toBe(2);
    expect(readdirSync(cwd)).toEqual(["shop"]);
  });

  test("uses the user's templates, and writes nothing if one is broken", async () => {
    const cwd = folder();
    expect((await micro(["templates", "eject", "service/main.ts"], { cwd })).code).toBe(0);
    const own = join(cwd, ".micro/templates/service/main.ts.hbs");
    writeFileSync(own, `// ours: {{name}}\n`);
    await micro(["new", "shop"], { cwd });
    expect(readFileSync(join(cwd, "shop/src/main.ts"), "utf8")).toBe("// ours: shop\n");
    writeFileSync(own, "// a line\n{{#if name}\n");
    const { stderr, code } = await micro(["new", "broken"], { cwd });
    expect(stderr).toMatch(/main\.ts\.hbs:2: the template is broken: Parse error/);
    expect(code).toBe(2);
    expect(readdirSync(cwd).sort()).toEqual([".micro", "shop"]);
  });
});

describe("micro templates eject", () => {
  test("lists templates, copies one or a folder, and keeps changed files", async () => {
    const cwd = folder();
    const names = (await micro(["templates", "eject"], { cwd })).stdout.trim().split("\n");
    expect(names).toContain("scaffold/handler.ts");
    await micro(["templates", "eject", "project"], { cwd });
    expect(readdirSync(join(cwd, ".micro/templates/project"))).toContain("Dockerfile.hbs");
    const again = await micro(["templates", "eject", "project/Dockerfile"], { cwd });
    expect(again.stderr).toMatch(/Dockerfile.hbs exists; --force overwrites it/);
    expect((await micro(["templates", "eject", "project/Dockerfil"], { cwd })).stderr).toMatch(
      /no template project\/Dockerfil; there are: project\/Dockerfile/,
    );
  });
});
