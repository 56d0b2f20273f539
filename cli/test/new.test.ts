import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { versions } from "../src/templates/project.ts";
import { micro } from "./support/micro.ts";

const scratch = mkdtempSync(join(tmpdir(), "micro-new-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const folder = () => mkdtempSync(join(scratch, "in-"));

describe("micro new", () => {
  test.each(["service", "pubsub", "fullstack"])(
    "writes every file of a %s, with no blank left",
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

  test("builds with what this repository is built with", () => {
    const { devDependencies } = JSON.parse(
      readFileSync(join(import.meta.dirname, "../../package.json"), "utf8"),
    );
    expect(versions).toEqual({
      protobuf: devDependencies["@bufbuild/protobuf"],
      buf: devDependencies["@bufbuild/buf"],
      protocGenEs: devDependencies["@bufbuild/protoc-gen-es"],
      typesNode: devDependencies["@types/node"],
      tsx: devDependencies.tsx,
      typescript: devDependencies.typescript,
    });
  });

  test("refuses a folder that is not empty, a name that is none, and a template that is not there", async () => {
    const cwd = folder();
    mkdirSync(join(cwd, "shop"));
    writeFileSync(join(cwd, "shop/mine"), "");
    expect((await micro(["new", "shop"], { cwd })).stderr).toMatch(/shop is there and not empty/);
    expect((await micro(["new", "My Shop"], { cwd })).stderr).toMatch(
      /"My Shop" is no name for a project/,
    );
    const { stderr, code } = await micro(["new", "store", "--template", "pubsb"], { cwd });
    expect(stderr).toMatch(/no template pubsb; did you mean pubsub\?/);
    expect(code).toBe(2);
    expect(readdirSync(cwd)).toEqual(["shop"]);
  });

  test("takes the user's templates, and writes nothing when one is broken", async () => {
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
  test("lists templates, copies one or a folder, and keeps what was changed", async () => {
    const cwd = folder();
    const names = (await micro(["templates", "eject"], { cwd })).stdout.trim().split("\n");
    expect(names).toContain("scaffold/handler.ts");
    await micro(["templates", "eject", "project"], { cwd });
    expect(readdirSync(join(cwd, ".micro/templates/project"))).toContain("Dockerfile.hbs");
    const again = await micro(["templates", "eject", "project/Dockerfile"], { cwd });
    expect(again.stderr).toMatch(/Dockerfile.hbs is there; --force writes over it/);
    expect((await micro(["templates", "eject", "project/Dockerfil"], { cwd })).stderr).toMatch(
      /no template project\/Dockerfil; there are: project\/Dockerfile/,
    );
  });
});
