import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");

/** The contracts that drivers implement. Their types may be in the kit even if unused. */
const contracts = [
  "./broker/broker.ts",
  "./config/config.ts",
  "./registry/registry.ts",
  "./service/driver.ts",
  "./store/store.ts",
  "./sync/sync.ts",
  "./transport/transport.ts",
];

/** The imports of these decide what the kit exports. */
const users = [
  ...readdirSync(join(root, "drivers")).map((name) => `drivers/${name}/src`),
  "cli/templates/driver",
  "docs/write-a-driver.md",
  "test/contract",
];

type Export = readonly [name: string, from: string, isType: boolean];

/** The names exported by the text of a module, each with the module that it comes from. */
function exportsOf(text: string): readonly Export[] {
  return [...text.matchAll(/^export (type )?\{([^}]*)\} from "([^"]+)";/gm)].flatMap(
    ([, type, names = "", from = ""]) =>
      namesIn(names).map((name) => {
        const isType = type !== undefined || name.startsWith("type ");
        return [name.replace("type ", ""), from, isType] as const;
      }),
  );
}

/** The names that the text of a module, a page or a template imports from the kit. */
function importsOf(text: string): readonly string[] {
  const imports = text.matchAll(/import (?:type )?\{([^}]*)\} from "@micro-es\/runtime\/driver"/g);
  return [...imports].flatMap(([, names = ""]) =>
    namesIn(names).map((name) => name.replace("type ", "").replace(/ as .*/, "")),
  );
}

function namesIn(list: string): readonly string[] {
  return list
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

/** The exports of the kit that neither belong to a contract nor are used. */
function unneeded(kit: string, used: ReadonlySet<string>): readonly string[] {
  return exportsOf(kit)
    .filter(([name, from, isType]) => !used.has(name) && !(isType && contracts.includes(from)))
    .map(([name]) => name);
}

function usedNames(): ReadonlySet<string> {
  const files = users.flatMap((user) => {
    if (user.endsWith(".md")) return [user];
    return readdirSync(join(root, user), { recursive: true, encoding: "utf8" })
      .filter((name) => /\.(ts|hbs)$/.test(name) && !/node_modules|\bdist\b|\.test\.ts$/.test(name))
      .map((name) => join(user, name));
  });
  return new Set(files.flatMap((file) => importsOf(readFileSync(join(root, file), "utf8"))));
}

describe("the driver kit", () => {
  const kit = readFileSync(join(root, "runtime/src/driver.ts"), "utf8");

  test("has what drivers need and nothing else", () => {
    expect(exportsOf(kit).length).toBeGreaterThan(100);
    expect(unneeded(kit, usedNames())).toEqual([]);
  });

  test("may not have a name that no driver uses, unless it is a type of a contract", () => {
    const planted = [
      'export { nearest, text } from "./base/suggest.ts";',
      'export { type Channel, defaultLimits } from "./transport/transport.ts";',
    ].join("\n");
    expect(unneeded(planted, new Set(["text"]))).toEqual(["nearest", "defaultLimits"]);
  });
});
