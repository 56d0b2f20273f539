import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { planScaffold } from "../src/scaffold/plan.ts";

// Handlers passed to registerGreeterHandler, in common layouts of projects.

const generated = join(import.meta.dirname, "../../examples/greeter/src/gen");
const scratch = mkdtempSync(join(tmpdir(), "micro-layouts-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

type Files = Readonly<Record<string, string>>;

/** A folder with these files, and the greeter's generated code in another one. */
function folderWith(files: Files, gen = "src/gen"): string {
  const folder = mkdtempSync(join(scratch, "project-"));
  cpSync(generated, join(folder, gen), { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

async function planOf(project: string) {
  const [plan, more] = await planScaffold({ project, out: join(project, "src") });
  expect(more).toBeUndefined();
  if (plan === undefined) throw new Error("no handler is planned");
  return plan;
}

const micro = "./gen/greeter/v1/greeter_micro.ts";
const main = (from: string, passed: string) =>
  `import { registerGreeterHandler } from "${from}";\n${passed}\n`;
const most = "hello() {} async *watch() {} upload() {} async *chat() {}";
const objectOf = (methods: string) => `{ ${methods.replaceAll("} ", "}, ")} }`;
const packageOf = (name: string, more: object = {}) =>
  JSON.stringify({ name, type: "module", ...more });

/** A layout, with what its class or object has as `METHODS`, or as `OBJECT` with braces. */
const layouts: readonly (readonly [what: string, files: Files])[] = [
  [
    "a function that returns a handler",
    {
      "src/greeter.ts": `import type { GreeterHandler } from "${micro}";\nexport function createGreeter(): GreeterHandler {\n  return OBJECT;\n}\n`,
      "src/main.ts": main(
        micro,
        `import { createGreeter } from "./greeter.ts";\nregisterGreeterHandler(server, createGreeter());`,
      ),
    },
  ],
  [
    "an async function without a declared result",
    {
      "src/greeter.ts":
        "export const createGreeter = async () => { const own = 1; return OBJECT; };\n",
      "src/main.ts": main(
        micro,
        `import { createGreeter } from "./greeter.ts";\nregisterGreeterHandler(server, await createGreeter());`,
      ),
    },
  ],
  [
    "a method in a base class",
    {
      "src/base.ts":
        "export abstract class Base<T> { hello() {} async *watch() {} protected help(it: T) {} }\n",
      "src/greeter.ts": `import { Base } from "./base.js";\nimport type { GreeterHandler } from "${micro}";\nexport class Greeter extends Base<string> implements GreeterHandler { upload() {} async *chat() {} METHODS }\n`,
    },
  ],
  [
    "a class that does not say what it implements",
    {
      "src/greeter.ts": "export class Greeter { METHODS }\n",
      "src/main.ts": main(
        micro,
        `import { Greeter as Impl } from "./greeter.ts";\nconst greeter = new Impl();\nregisterGreeterHandler(server, greeter);`,
      ),
    },
  ],
  [
    "#imports",
    {
      "package.json": packageOf("greeter", { imports: { "#gen/*": "./src/gen/*" } }),
      "src/greeter.ts": `import type { GreeterHandler } from "#gen/greeter/v1/greeter_micro.ts";\nexport class Greeter implements GreeterHandler { METHODS }\n`,
    },
  ],
  [
    "paths of a tsconfig.json",
    {
      "tsconfig.json": `{ // with a comment\n "compilerOptions": { "module": "esnext", "moduleResolution": "bundler", "paths": { "@gen/*": ["./src/gen/*"] } } }`,
      "src/greeter.ts": `import type { GreeterHandler } from "@gen/greeter/v1/greeter_micro";\nexport class Greeter implements GreeterHandler { METHODS }\n`,
    },
  ],
  [
    "a barrel",
    {
      "src/api/index.ts": `export * from ".${micro}";\n`,
      "src/greeter.ts": `import type { GreeterHandler } from "./api/index.js";\nexport const greeter = OBJECT satisfies GreeterHandler;\n`,
    },
  ],
  [
    "a barrel that renames",
    {
      "src/api.ts": `export { type GreeterHandler as Api, registerGreeterHandler as serve } from "${micro}";\n`,
      "src/main.ts": `import { serve } from "./api.ts";\nserve(server, OBJECT);\n`,
    },
  ],
  [
    "a namespace",
    {
      "src/main.ts": `import * as api from "${micro}";\napi.registerGreeterHandler(server, OBJECT);\n`,
    },
  ],
  [
    "an interface of the project's own",
    {
      "src/greeter.ts": `import type { GreeterHandler } from "${micro}";\ninterface Ours extends GreeterHandler { count: number }\nexport class Greeter implements Ours { count = 0; METHODS }\n`,
    },
  ],
  [
    "a handler put together from parts",
    {
      "src/main.ts": main(
        micro,
        "const parts = { hello() {} };\nconst rest = OBJECT;\nregisterGreeterHandler(server, { ...parts, ...rest });",
      ),
    },
  ],
  [
    "a class that the type given to it hides",
    {
      "src/main.ts": main(
        micro,
        `import type { GreeterHandler } from "${micro}";\nclass Greeter { METHODS }\nregisterGreeterHandler(server, new Greeter() as unknown as GreeterHandler);`,
      ),
    },
  ],
  [
    "a function of another name that registers it",
    {
      "src/main.ts": main(
        micro,
        "const register = registerGreeterHandler;\nregister(server, OBJECT);",
      ),
    },
  ],
  [
    "a loop that registers it",
    {
      "src/main.ts": main(
        micro,
        "class Greeter { METHODS }\nfor (const [register, handler] of [[registerGreeterHandler, new Greeter()]] as const) register(server, handler);",
      ),
    },
  ],
  ["a file with JSX", { "src/main.tsx": main(micro, "registerGreeterHandler(server, OBJECT);") }],
];

describe("a handler is found in", () => {
  const events = "onGreeted() {}";
  test.each(layouts)("%s", async (what, files) => {
    const inBase = what.includes("base class");
    const withMethods = (methods: string) =>
      folderWith(
        Object.fromEntries(
          Object.entries(files).map(([name, text]) => [
            name,
            text.replace("METHODS", methods).replace("OBJECT", objectOf(methods)),
          ]),
        ),
      );
    const complete = await planOf(withMethods(inBase ? events : `${most} ${events}`));
    expect(complete).toMatchObject({ missing: [], differences: [] });
    const { missing } = await planOf(withMethods(inBase ? "" : most));
    expect(missing).toEqual(["onGreeted"]);
  });

  test("a class that uses #imports, which the added methods use too", async () => {
    const folder = folderWith({
      "package.json": packageOf("greeter", { imports: { "#gen/*": "./src/gen/*" } }),
      "src/greeter.ts": `import type { GreeterHandler } from "#gen/greeter/v1/greeter_micro.ts";\nexport class Greeter implements GreeterHandler {\n  hello() {}\n}\n`,
    });
    const { change } = await planOf(folder);
    expect(change?.after).toContain(
      `import type { GreeterHandler, TickInit, HelloResponseInit, LineInit } from "#gen/greeter/v1/greeter_micro.ts"`,
    );
    expect(change?.after).toContain(`} from "#gen/greeter/v1/greeter_pb.ts"`);
  });
});

test("a base class or handler from an installed package is read", async () => {
  const withPackage = (main: string) =>
    folderWith({
      "node_modules/base/package.json": packageOf("base", { types: "./index.d.ts" }),
      "node_modules/base/index.d.ts":
        "export declare class Base { hello(): void; watch(): void; upload(): void; chat(): void }\nexport declare function handler(): Base & { onGreeted(): void };\n",
      "src/main.ts": main,
    });
  const greeter = (methods: string) =>
    `import { Base } from "base";\nimport type { GreeterHandler } from "${micro}";\nexport class Greeter extends Base implements GreeterHandler {\n  ${methods}\n}\n`;
  expect((await planOf(withPackage(greeter("onGreeted() {}")))).missing).toEqual([]);
  const { missing, change } = await planOf(withPackage(greeter("own = 1;")));
  expect(missing).toEqual(["onGreeted"]);
  expect(change?.after).toContain("async onGreeted(event: Greeted, context: EventContext)");
  for (const from of ["base", "not-installed"]) {
    const passed = `import { handler } from "${from}";\nregisterGreeterHandler(server, handler());`;
    expect((await planOf(withPackage(main(micro, passed)))).missing).toEqual([]);
  }
  const typed = `import { handler } from "not-installed";
import { registerGreeterHandler } from "${micro}";
registerGreeterHandler(server, handler(Greeter));
`;
  const found = await planOf(withPackage(greeter("onGreeted() {}") + typed));
  expect(found.missing).toEqual([]);
  const part = `import { Base } from "base";\nregisterGreeterHandler(server, new Base());`;
  const { missing: lacks, paste } = await planOf(withPackage(main(micro, part)));
  expect(lacks).toEqual(["onGreeted"]);
  expect(paste?.why).toContain("new Base(), which is registered there");
});

test.each([
  ["a wrapper that takes the function", "serve(registerGreeterHandler, new Greeter());"],
  [
    "a bound function",
    "const register = registerGreeterHandler.bind(undefined, server);\nregister(new Greeter());",
  ],
  [
    "a list for a framework",
    "export const services = [{ register: registerGreeterHandler, handler: Greeter }];",
  ],
])("a handler that is registered by %s is not reported as missing", async (_, registration) => {
  const files = { "src/main.ts": main(micro, `class Greeter {}\n${registration}`) };
  expect((await planOf(folderWith(files))).missing).toEqual([]);
});

describe("a handler in JavaScript is found in", () => {
  test.each([
    [
      "a module",
      "main.mjs",
      main(micro, "class Greeter { METHODS }\nregisterGreeterHandler(server, new Greeter());"),
    ],
    [
      "CommonJS",
      "main.cjs",
      `const { registerGreeterHandler } = require("${micro}");\nregisterGreeterHandler(server, OBJECT);\n`,
    ],
    [
      "an object with a type",
      "main.js",
      `/** @type {import("${micro}").GreeterHandler} */\nexport const greeter = OBJECT;\n`,
    ],
    [
      "a class that says what it implements",
      "main.js",
      `/** @import { GreeterHandler } from "${micro}" */\n/** @implements {GreeterHandler} */\nexport class Greeter { METHODS }\n`,
    ],
  ])("%s, and is not changed", async (_, name, text) => {
    const planWith = (methods: string) =>
      planOf(
        folderWith({
          [`src/${name}`]: text.replace("METHODS", methods).replace("OBJECT", objectOf(methods)),
        }),
      );
    expect(await planWith(`${most} onGreeted() {}`)).toMatchObject({
      missing: [],
      differences: [],
    });
    const { missing, change, paste } = await planWith(most);
    expect(missing).toEqual(["onGreeted"]);
    expect(change).toBeUndefined();
    expect(paste?.why).toMatch(/main\.[cm]?js is JavaScript/);
    expect(paste?.text).toContain("async onGreeted(event, context) {");
  });

  test("in JavaScript only if there is none in TypeScript, from which it may be compiled", async () => {
    const folder = folderWith({
      "src/main.ts": main(
        micro,
        `registerGreeterHandler(server, ${objectOf(`${most} onGreeted() {}`)});`,
      ),
      "src/main.js": main(micro, "registerGreeterHandler(server, { hello() {} });"),
    });
    expect((await planOf(folder)).missing).toEqual([]);
  });
});

test("uses the registered handler, not the complete fake of a test", async () => {
  const folder = folderWith({
    "src/greeter.ts": "export class Greeter { hello() {} }\n",
    "src/main.ts": main(
      micro,
      `import { Greeter } from "./greeter.ts";\nregisterGreeterHandler(server, new Greeter());`,
    ),
    "test/fake.test.ts": main(
      `.${micro.replace("./", "./src/")}`,
      `registerGreeterHandler(server, ${objectOf(`${most} onGreeted() {}`)});`,
    ),
  });
  const plan = await planOf(folder);
  expect(plan.missing).toEqual(["watch", "upload", "chat", "onGreeted"]);
  expect(plan.change?.path).toBe(join(folder, "src/greeter.ts"));
});

test("a class's own methods are not mistaken for methods dropped from the schema", async () => {
  const folder = folderWith({
    "src/greeter.ts": `import type { CallContext, EventContext } from "@micro-es/runtime";
import type { GreeterHandler } from "${micro}";
import type { HelloRequest as Request } from "./gen/greeter/v1/greeter_pb.ts";
export class Greeter implements GreeterHandler {
  async hello(request: Request, context: CallContext) { this.count(request, context); return {}; }
  async *watch() {}
  async upload() { return {}; }
  async *chat() {}
  onGreeted() {}
  private check(request: Request, context: CallContext) {}
  protected guard(request: Request, context: CallContext) {}
  #log(request: Request, context: EventContext) {}
  static from(request: Request, context: CallContext) {}
  count(request: Request, context: CallContext) {}
  dropped(request: Request, context: CallContext) {}
}
`,
  });
  const { differences } = await planOf(folder);
  expect(differences.map(({ method }) => method)).toEqual(["dropped"]);
});

describe("in a workspace with a shared schema package", () => {
  /** The schema package, built or not, and a service that implements it as it is imported. */
  function workspace(methods: string, manager: "npm" | "pnpm", from: string): string {
    const root = folderWith(
      {
        "package.json": packageOf("all", manager === "npm" ? { workspaces: ["packages/*"] } : {}),
        ...(manager === "pnpm" ? { "pnpm-workspace.yaml": "packages: ['packages/*']\n" } : {}),
        "packages/schema/package.json": packageOf("@acme/schema", {
          exports: {
            ".": "./dist/index.js",
            "./*": { types: "./dist/*.d.ts", default: "./dist/*.js" },
          },
        }),
        "packages/schema/src/index.ts": `export * from "${micro}";\n`,
        "packages/greeter/package.json": packageOf("@acme/greeter", {
          dependencies: { "@acme/schema": "*" },
        }),
        "packages/greeter/src/greeter.ts": `import type { GreeterHandler } from "${from}";\nexport class Greeter implements GreeterHandler {\n  ${methods}\n}\n`,
        "packages/web/package.json": packageOf("@acme/web", {
          dependencies: { "@acme/schema": "*" },
        }),
        "packages/web/src/web.ts": `import { createGreeterClient } from "${from}";\n`,
      },
      "packages/schema/src/gen",
    );
    const modules = join(root, manager === "npm" ? "" : "packages/greeter", "node_modules/@acme");
    mkdirSync(modules, { recursive: true });
    symlinkSync(join(root, "packages/schema"), join(modules, "schema"));
    return root;
  }

  test.each([
    ["npm", "@acme/schema"],
    ["npm", "@acme/schema/gen/greeter/v1/greeter_micro"],
    ["pnpm", "@acme/schema"],
    ["pnpm", "@acme/schema/gen/greeter/v1/greeter_micro"],
  ] as const)("of %s, imported as %s", async (manager, from) => {
    const complete = workspace(`${most} onGreeted() {}`, manager, from);
    for (const project of ["", "packages/schema", "packages/greeter"]) {
      expect((await planOf(join(complete, project))).missing, project).toEqual([]);
    }
    const lacking = workspace("hello() {}", manager, from);
    for (const project of ["", "packages/schema", "packages/greeter"]) {
      const { missing, change } = await planOf(join(lacking, project));
      expect(missing, project).toEqual(["watch", "upload", "chat", "onGreeted"]);
      expect(relative(lacking, change?.path ?? "")).toBe("packages/greeter/src/greeter.ts");
      expect(change?.after).toContain(`TickInit`);
      expect(change?.after).not.toContain("../schema");
    }
    const elsewhere = {
      project: join(lacking, "packages/web"),
      out: join(lacking, "packages/web"),
    };
    expect(await planScaffold(elsewhere)).toEqual([]);
  });
});
