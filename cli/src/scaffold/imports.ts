import { basename, dirname, join, relative, resolve, sep } from "node:path";
import type { ImportDeclaration, SourceFile } from "ts-morph";
import type { HandlerInterface, NamedType } from "./handler-interface.ts";
import type { Style } from "./style.ts";

/** A name that a file needs. */
export interface NeededImport {
  readonly name: string;
  readonly exported: string;
  /** As the file has to write it. */
  readonly module: string;
  readonly isType: boolean;
}

/**
 * The imports that a file needs for these types of a handler interface, and for the stubs' error.
 *
 * @param path of the file
 * @param source the file, if it exists: new imports follow its style, by `#imports` or the name of
 * a package too
 */
export function neededImports(
  handler: HandlerInterface,
  types: readonly NamedType[],
  path: string,
  source?: SourceFile,
): readonly NeededImport[] {
  const found = new Map<string, NeededImport>();
  const known = source === undefined ? undefined : importOfHandler(source, handler);
  for (const { name, exported, module: from } of types) {
    const module =
      (from === undefined || from.startsWith(".") ? besides(known, handler, from) : undefined) ??
      moduleFrom(handler, from, path);
    found.set(name, { name, exported, module, isType: true });
  }
  found.set("MicroError", {
    name: "MicroError",
    exported: "MicroError",
    module: "@micro-es/runtime",
    isType: false,
  });
  return [...found.values()];
}

/**
 * The module from which the file imports the handler interface or its registration, unless that is
 * a relative path.
 */
function importOfHandler(source: SourceFile, { name }: HandlerInterface): string | undefined {
  const names = [name, `register${name}`];
  const module = source
    .getImportDeclarations()
    .find((it) => it.getNamedImports().some((named) => names.includes(named.getName())))
    ?.getModuleSpecifierValue();
  return module?.startsWith(".") === true ? undefined : module;
}

/**
 * The module next to that of the handler interface: `#gen/shop_pb.js` next to `#gen/shop_micro.js`.
 * A module that names no generated file is assumed to export everything. Undefined if a relative
 * path is needed.
 */
function besides(
  known: string | undefined,
  { file }: HandlerInterface,
  module: string | undefined,
): string | undefined {
  if (known === undefined || module === undefined) return known;
  const own = plainName(file);
  if (!known.includes(own)) return known;
  if (dirname(module) !== ".") return undefined;
  return known.replace(own, plainName(module));
}

/** A file's name without folder and extension. */
function plainName(file: string): string {
  return basename(file).replace(/(\.d)?\.[cm]?[jt]s$/, "");
}

/** The generated file's own module, or one that it imports, relative to `path`. */
export function moduleFrom(
  handler: HandlerInterface,
  module: string | undefined,
  path: string,
): string {
  if (module !== undefined && !module.startsWith(".")) return module;
  const target =
    module === undefined
      ? handler.file.replace(/(\.d)?\.([cm]?)ts$/, handler.extension)
      : join(dirname(handler.file), module);
  const shown = relative(dirname(path), target).split(sep).join("/");
  return shown.startsWith(".") ? shown : `./${shown}`;
}

/** An insertion into a text. */
export interface Insertion {
  readonly at: number;
  readonly text: string;
}

/** Insertions that import these names, into existing imports if possible. */
export function importInsertions(
  source: SourceFile,
  needed: readonly NeededImport[],
  style: Style,
): readonly Insertion[] {
  const declarations = source.getImportDeclarations();
  const path = source.getFilePath();
  const missing = needed.filter(({ name }) => !declares(source, name));
  const insertions: Insertion[] = [];
  const fresh = new Map<string, NeededImport[]>();
  const joined = new Map<ImportDeclaration, NeededImport[]>();
  for (const need of missing) {
    const host = declarations.find((it) => canTake(it, need, path));
    if (host !== undefined) joined.set(host, [...(joined.get(host) ?? []), need]);
    else fresh.set(need.module, [...(fresh.get(need.module) ?? []), need]);
  }
  for (const [host, needs] of joined) {
    const last = host.getNamedImports().at(-1);
    if (last === undefined) continue;
    const words = needs.map((need) => wordOf(need, host.isTypeOnly()));
    insertions.push({ at: last.getEnd(), text: words.map((word) => `, ${word}`).join("") });
  }
  if (fresh.size > 0) {
    const lines = [...fresh].map(([module, needs]) => importLine(module, needs, style));
    const last = declarations.at(-1);
    insertions.push(
      last === undefined
        ? {
            at: topOf(source),
            text: lines.map((line) => `${line}${style.newline}`).join("") + style.newline,
          }
        : { at: last.getEnd(), text: lines.map((line) => `${style.newline}${line}`).join("") },
    );
  }
  return insertions;
}

/** An import declaration. */
export function importLine(module: string, needs: readonly NeededImport[], style: Style): string {
  const onlyTypes = needs.every(({ isType }) => isType);
  const words = [...needs]
    .sort((a, b) => a.exported.localeCompare(b.exported))
    .map((need) => wordOf(need, onlyTypes));
  const { quote, semicolon } = style;
  return `import ${onlyTypes ? "type " : ""}{ ${words.join(", ")} } from ${quote}${module}${quote}${semicolon}`;
}

function wordOf({ name, exported, isType }: NeededImport, typeOnly: boolean): string {
  const word = name === exported ? name : `${exported} as ${name}`;
  return isType && !typeOnly ? `type ${word}` : word;
}

function canTake(declaration: ImportDeclaration, need: NeededImport, path: string): boolean {
  if (declaration.getNamedImports().length === 0) return false;
  if (declaration.isTypeOnly() && !need.isType) return false;
  return sameModule(declaration.getModuleSpecifierValue(), need.module, path);
}

/**
 * Whether two specifiers in the file at `path` refer to the same module, whatever their extensions.
 */
export function sameModule(one: string, other: string, path: string): boolean {
  if (one === other) return true;
  if (!one.startsWith(".") || !other.startsWith(".")) return false;
  const plain = (module: string) => resolve(dirname(path), module).replace(/\.[cm]?[jt]s$/, "");
  return plain(one) === plain(other);
}

function declares(source: SourceFile, name: string): boolean {
  return source
    .getImportDeclarations()
    .some((declaration) =>
      declaration
        .getNamedImports()
        .some((it) => (it.getAliasNode()?.getText() ?? it.getName()) === name),
    );
}

/** After a hashbang and the file's leading comment. */
function topOf(source: SourceFile): number {
  const text = source.getFullText();
  return text.startsWith("#!") ? text.indexOf("\n") + 1 : 0;
}
