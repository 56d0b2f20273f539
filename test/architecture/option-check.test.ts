import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { ts } from "ts-morph";
import { expect, test } from "vitest";
import { checkOptions, count, type OptionKindsOf } from "../../runtime/src/base/option-check.ts";

const runtime = resolve(import.meta.dirname, "../../runtime");
/** Their sources. */
const drivers = readdirSync(resolve(runtime, "../drivers")).map((name) =>
  resolve(runtime, "../drivers", name, "src"),
);

/**
 * Free-form: `asMicroError` never throws, and a MicroError repairs what is malformed; JSON takes
 * what protobuf-es takes.
 */
const freeForm: ReadonlySet<string> = new Set(["asMicroError", "jsonFormatWith"]);

const { exports } = JSON.parse(readFileSync(join(runtime, "package.json"), "utf8"));
/** What applications import; drivers get options that their own entry has checked. */
const entries = Object.values(exports as Record<string, string | Record<string, string>>)
  .flatMap((entry) => (typeof entry === "string" ? [] : [entry["@micro-es/source"] ?? ""]))
  .filter((path) => path !== "" && path !== "./src/driver.ts" && !path.includes("*"))
  .map((path) => join(runtime, path))
  .concat(drivers.map((driver) => join(driver, "index.ts")));

// Both read all sources of the runtime, which takes long on a busy machine.
test("every exported function checks its options", { timeout: 120_000 }, () => {
  const found = entries.flatMap((path) => exportsOf(path, undefined, optionFunctions));
  expect(found.length).toBeGreaterThan(25);
  const unchecked = found.filter(({ checks, name }) => !checks && !freeForm.has(name));
  expect([...new Set(unchecked.map(({ name }) => name))]).toEqual([]);
});

/** Options that are deliberately not checked by the function that takes them. */
const uncheckedOptions: ReadonlySet<string> = new Set([
  // JSON takes what protobuf-es takes.
  "JsonFormatOptions",
  // The client makes one for each attempt of a call, from call options that it has checked.
  "SelectOptions",
  // The broker checks them: `publishKinds` has their metadata and id too.
  "TopicPublishOptions",
]);

test("every exported interface of options has its checks", { timeout: 120_000 }, () => {
  const sources = [
    ...sourcesIn(join(runtime, "src")),
    ...drivers.flatMap((driver) => sourcesIn(driver)),
  ];
  // The kit has the options of calls to stores, locks and registries, which applications make.
  const found = [...entries, join(runtime, "src/driver.ts")].flatMap((path) =>
    exportsOf(path, undefined, optionInterfaces),
  );
  const names = [...new Set(found.map(({ name }) => name))];
  expect(names.length).toBeGreaterThan(45);
  const unchecked = uncheckedOf(names, sources);
  expect(unchecked.filter((name) => !uncheckedOptions.has(name))).toEqual([]);
});

test("an interface of options without checks is found", () => {
  const unchecked = (...sources: ts.SourceFile[]) => uncheckedOf(["PlantedOptions"], sources);
  const planted = (body: string) =>
    source("planted.ts", `class A { take(options: PlantedOptions = {}) { ${body} } }`);
  expect(unchecked(planted("return options;"))).toEqual(["PlantedOptions"]);
  expect(unchecked(planted("checkOptions('a', {}, kinds);"))).toEqual(["PlantedOptions"]);
  expect(unchecked(planted("checkOptions('a', options, kinds);"))).toEqual([]);
  const kinds = source("kinds.ts", "const kinds: OptionKindsOf<PlantedOptions> = {};");
  expect(unchecked(kinds)).toEqual(["PlantedOptions"]);
  expect(unchecked(kinds, source("use.ts", "checkOptions('a', given, kinds);"))).toEqual([]);
  const heir = source("heir.ts", "interface MoreOptions extends PlantedOptions {}");
  const check = source("check.ts", "function f(o: MoreOptions) { checkOptions('f', o, kinds); }");
  expect(unchecked(heir)).toEqual(["PlantedOptions"]);
  expect(unchecked(heir, check)).toEqual([]);
});

test("a function that checks nothing is found", () => {
  const source = "export function planted(options: PlantedOptions = {}) { return options; }";
  expect(optionFunctions("planted.ts", source)).toEqual([{ name: "planted", checks: false }]);
});

test("an option without a kind does not compile", () => {
  interface Planted {
    readonly known?: number;
    readonly forgotten?: number;
  }
  // @ts-expect-error forgotten has no kind.
  const kinds: OptionKindsOf<Planted> = { known: count };
  const options: Planted = { known: 1, forgotten: 2 };
  checkOptions("planted", options, kinds);
  // @ts-expect-error forgotten has no kind.
  checkOptions("planted", options, { known: count });
});

interface OptionFunction {
  readonly name: string;
  readonly checks: boolean;
}

/** What a file exports of a sort, by way of other files too. */
function exportsOf<T extends { readonly name: string }>(
  path: string,
  wanted: ReadonlySet<string> | undefined,
  find: (path: string, text: string) => readonly T[],
): readonly T[] {
  const text = readFileSync(path, "utf8");
  const own = find(path, text).filter(({ name }) => wanted?.has(name) ?? true);
  const others = source(path, text).statements.flatMap((statement) => {
    if (!ts.isExportDeclaration(statement)) return [];
    const from = statement.moduleSpecifier;
    if (from === undefined || !ts.isStringLiteral(from) || !from.text.startsWith(".")) return [];
    const clause = statement.exportClause;
    const names =
      clause !== undefined && ts.isNamedExports(clause)
        ? new Set(clause.elements.map((it) => (it.propertyName ?? it.name).text))
        : wanted;
    return exportsOf(join(dirname(path), from.text), names, find);
  });
  return [...own, ...others];
}

function optionInterfaces(path: string, text: string): readonly { readonly name: string }[] {
  return source(path, text).statements.flatMap((statement) =>
    ts.isInterfaceDeclaration(statement) && /(?:Options|Spec)$/.test(statement.name.text)
      ? [{ name: statement.name.text }]
      : [],
  );
}

/** The types, as they are written, of options that something checks. */
function checkedTypes(sources: readonly ts.SourceFile[]): readonly string[] {
  const code = sources.map(({ text }) => text.replaceAll(/^import [^;]*;/gm, ""));
  const types: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && "body" in node && node.body !== undefined) {
      const body = (node.body as ts.Node).getText();
      for (const { name, type } of node.parameters) {
        if (type !== undefined && checkOf(name.getText()).test(body)) types.push(type.getText());
      }
    } else if (ts.isVariableDeclaration(node)) {
      const type = node.type?.getText() ?? "";
      const use = new RegExp(`[,.(:] ?\\b${node.name.getText()}\\b`);
      if (type.startsWith("OptionKindsOf<") && code.some((it) => use.test(it))) types.push(type);
    } else if (ts.isCallExpression(node) && node.expression.getText() === "optionsOf") {
      for (const type of node.typeArguments ?? []) types.push(type.getText());
    }
    ts.forEachChild(node, visit);
  };
  for (const file of sources) if (/check|optionsOf|OptionKindsOf/.test(file.text)) visit(file);
  return types;
}

/** A check that gets this argument, by whatever name the check has. */
function checkOf(argument: string): RegExp {
  return new RegExp(`\\b(?:check\\w*|deliverySettings|NatsLink|faultOf)\\([^;]*\\b${argument}\\b`);
}

/**
 * The interfaces among these that nothing checks, neither themselves nor one that has all their
 * options.
 */
function uncheckedOf(
  names: readonly string[],
  sources: readonly ts.SourceFile[],
): readonly string[] {
  const types = checkedTypes(sources);
  return names.filter((name) => {
    const all = [name, ...heirsOf(name, sources)];
    return !types.some((type) => all.some((it) => new RegExp(`\\b${it}\\b`).test(type)));
  });
}

/** The interfaces that have all options of one. */
function heirsOf(name: string, sources: readonly ts.SourceFile[]): readonly string[] {
  const heirs = sources.flatMap(({ statements }) =>
    statements.flatMap((it) => {
      if (!ts.isInterfaceDeclaration(it)) return [];
      const bases = it.heritageClauses?.flatMap(({ types }) => types.map((type) => type.getText()));
      return bases?.includes(name) === true ? [it.name.text] : [];
    }),
  );
  return heirs.flatMap((heir) => [heir, ...heirsOf(heir, sources)]);
}

function optionFunctions(path: string, text: string): readonly OptionFunction[] {
  return source(path, text).statements.flatMap((statement) => {
    if (!ts.isFunctionDeclaration(statement) || statement.body === undefined) return [];
    const isExported = statement.modifiers?.some((it) => it.kind === ts.SyntaxKind.ExportKeyword);
    const takesOptions = statement.parameters.some((it) =>
      /(?:Options|Parts|Definition)\b/.test(it.type?.getText() ?? ""),
    );
    if (isExported !== true || !takesOptions) return [];
    const checks = /\bcheckOptions\(|new NatsLink\(/.test(statement.body.getText());
    return [{ name: statement.name?.text ?? "", checks }];
  });
}

/** Entries re-export the same files again and again; each is parsed once. */
const parsed = new Map<string, ts.SourceFile>();

function source(path: string, text: string): ts.SourceFile {
  let file = parsed.get(path);
  if (file?.text !== text) {
    file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
    parsed.set(path, file);
  }
  return file;
}

function sourcesIn(folder: string): readonly ts.SourceFile[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts"))
    .map((path) => source(path, readFileSync(join(folder, path), "utf8")));
}
