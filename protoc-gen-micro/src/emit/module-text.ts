import type { GeneratedFile } from "@bufbuild/protoplugin";
import type { ImportPaths } from "./import-paths.ts";
import { type Code, isList, lineWidth, literal, verbatim } from "./layout.ts";
import { type Import, ModuleNames } from "./module-names.ts";

type Imports = ReadonlyMap<string, ReadonlyMap<string, Import>>;

/**
 * How a module imports others: `require` is CommonJS; of the rest, only JavaScript modules are
 * loaded by URL.
 */
export type ModuleStyle = "typescript" | "declarations" | "module" | "require";

/**
 * The text of an output file while it is written. Names are inserted as preferred, and replaced at
 * the end if they are taken, which is rare.
 */
export class ModuleText {
  readonly names: ModuleNames = new ModuleNames();
  /** The import path of the file itself. */
  readonly #self: string;
  readonly #style: ModuleStyle;
  readonly #paths: ImportPaths;
  readonly #pieces: string[] = [];
  readonly #exports: string[] = [];

  constructor(self: string, style: ModuleStyle, paths: ImportPaths) {
    this.#self = self;
    this.#style = style;
    this.#paths = paths;
    if (style === "require")
      this.names.reserve("exports module require __dirname __filename Object");
  }

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  add(code: Code): void {
    if (typeof code === "string") {
      this.names.reserve(code);
      this.#pieces.push(code);
    } else if (isList(code)) for (const part of code) this.add(part);
    else if (code.kind === "verbatim") this.#pieces.push(code.text);
    else {
      this.names.use(code, this.#pieces.length);
      this.#pieces.push(code.name);
    }
  }

  /** Begins an exported declaration. */
  export(keyword: string, name: string): void {
    this.#exports.push(name);
    this.add(verbatim(this.#style === "require" ? `${keyword} ` : `export ${keyword} `));
    this.add(this.names.declared(name));
  }

  /**
   * Adds a statement that exports everything that a module exports.
   * @param values its constants, which CommonJS has to list
   */
  reexport(from: string, values: readonly string[]): void {
    if (this.#style === "require") {
      const lines = values.map((name, index) => [
        verbatim(`${index === 0 ? "" : "\n"}exports.${name} = `),
        this.names.imported(name, from, false),
        ";",
      ]);
      this.add(lines);
    } else this.add(verbatim(`export * from ${literal(this.#pathTo(from))};`));
  }

  /** A function that imports a module when it is called. */
  importOnDemand(from: string): Code {
    const path = verbatim(literal(this.#pathTo(from)));
    return this.#style === "require"
      ? ["async () => require(", path, ")"]
      : ["() => import(", path, ")"];
  }

  /**
   * Prints the text to its file. It is a single piece, because protoplugin would walk all pieces
   * several times and does not know which names are taken.
   */
  print(file: GeneratedFile): void {
    if (this.isEmpty) return;
    const imports = this.names.resolve((name, to) => {
      for (const place of name.places) this.#pieces[place] = to;
    });
    const statements = this.#importStatements(imports);
    if (statements.length > 0) statements.push("\n");
    const text = statements.join("") + this.#pieces.join("");
    file.print(this.#style === "require" ? text + this.#exportStatements() : text);
  }

  #importStatements(modules: Imports): string[] {
    const statements: string[] = [];
    const paths = [...modules.keys()].map((from) => [this.#pathTo(from), from] as const);
    for (const [path, from] of paths.sort(byDistance)) {
      const all = [...modules.get(from)!].sort(([a], [b]) => a.localeCompare(b));
      const types = all.filter(([, { isValue }]) => !isValue);
      const values = all.filter(([, { isValue }]) => isValue);
      if (this.#style === "require") {
        if (values.length > 0) statements.push(requireStatement(values, path));
        continue;
      }
      if (types.length > 0) statements.push(importStatement("import type", types, path));
      if (values.length > 0) statements.push(importStatement("import", values, path));
    }
    return statements;
  }

  #pathTo(from: string): string {
    const path = this.#paths.between(this.#self, from);
    if (this.#style !== "module" || !path.startsWith(".")) return path;
    return path.replace(/[%#?]/g, encodeURIComponent);
  }

  #exportStatements(): string {
    return `\n${this.#exports.map((name) => `\nexports.${name} = ${name};`).join("")}`;
  }
}

/** Packages first, then modules from the farthest folder to this one. */
function byDistance([one]: readonly [string, string], [other]: readonly [string, string]): number {
  return levelsUp(other) - levelsUp(one) || one.localeCompare(other);
}

function levelsUp(path: string): number {
  return path.startsWith(".") ? path.split("../").length - 1 : Number.MAX_SAFE_INTEGER;
}

type ImportedNames = readonly (readonly [name: string, Import])[];

function importStatement(keyword: string, names: ImportedNames, path: string): string {
  return nameListStatement(`${keyword} `, names, " as ", ` from ${literal(path)};`);
}

function requireStatement(names: ImportedNames, path: string): string {
  return nameListStatement("const ", names, ": ", ` = require(${literal(path)});`);
}

/** A statement with a list of names, on one line or with one name on each. */
function nameListStatement(head: string, names: ImportedNames, as: string, tail: string): string {
  const items = names.map(([name, { identifier }]) =>
    identifier === name ? name : `${name}${as}${identifier}`,
  );
  const flat = `${head}{ ${items.join(", ")} }${tail}\n`;
  if (flat.length - 1 <= lineWidth) return flat;
  return `${head}{\n${items.map((item) => `  ${item},\n`).join("")}}${tail}\n`;
}
