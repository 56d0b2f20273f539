import { createImportSymbol, type GeneratedFile, type Printable } from "@bufbuild/protoplugin";
import type { ImportPaths } from "./import-paths.ts";
import { type Code, isList, literal, type Name } from "./layout.ts";

/** What another module exports, as this one knows it. */
interface Imported {
  readonly identifier: string;
  /** Whether some use of it needs more than its type. */
  isValue: boolean;
}

/**
 * The text of an output file while it is written, and the names in it. Names are text from the beginning, and changed in the
 * end where they need an alias, which few do.
 */
export class ModuleText {
  /** The file's own import path. What comes from there keeps its name, and others make way. */
  readonly #self: string;
  readonly #paths: ImportPaths;
  readonly #pieces: string[] = [];
  /** By the module that they come from, as types and as values. */
  readonly #names = new Map<string, Map<string, Name>>();
  /** Names that stand in the text, by the order in which they do first. */
  readonly #used: Name[] = [];
  readonly #exports: { readonly place: number; readonly keyword: string; readonly name: string }[] =
    [];

  constructor(self: string, paths: ImportPaths) {
    this.#self = self;
    this.#paths = paths;
  }

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  /** A name that is global or that the file declares. */
  own(name: string): Name {
    return this.name(name, this.#self, false);
  }

  /** A name that is imported where it is used. */
  name(name: string, from: string, typeOnly: boolean): Name {
    const key = typeOnly ? `type ${from}` : from;
    let names = this.#names.get(key);
    if (names === undefined) {
      names = new Map();
      this.#names.set(key, names);
    }
    let found = names.get(name);
    if (found === undefined) {
      found = { name, from, typeOnly, places: [] };
      names.set(name, found);
    }
    return found;
  }

  add(code: Code): void {
    if (typeof code === "string") this.#pieces.push(code);
    else if (isList(code)) for (const part of code) this.add(part);
    else {
      if (code.places.length === 0) this.#used.push(code);
      code.places.push(this.#pieces.length);
      this.#pieces.push(code.name);
    }
  }

  /** `export` with the beginning of a declaration. */
  export(keyword: string, name: string): void {
    this.#exports.push({ place: this.#pieces.length, keyword, name });
    this.#pieces.push(`export ${keyword} ${name}`);
  }

  /**
   * Hands the text over to its file. An ES module is written here, and not by protoplugin, which goes through all pieces several
   * times, and does all of that twice for `target=ts`.
   */
  print(file: GeneratedFile): void {
    if (this.isEmpty) return;
    file.print(file.jsImportStyle === "module" ? this.#esModule() : this.#printables(file));
  }

  #esModule(): string {
    const statements = this.#importStatements(this.#imports());
    if (statements.length > 0) statements.push("\n");
    return statements.join("") + this.#pieces.join("");
  }

  /** What is imported from each module; the text has aliases from here on. */
  #imports(): Map<string, Map<string, Imported>> {
    const taken = new Set(this.#exports.map(({ name }) => name));
    for (const { from, name } of this.#used) if (from === this.#self) taken.add(name);
    const modules = new Map<string, Map<string, Imported>>();
    for (const { name, from, typeOnly, places } of this.#used) {
      if (from === this.#self) continue;
      let exports = modules.get(from);
      if (exports === undefined) {
        exports = new Map();
        modules.set(from, exports);
      }
      let imported = exports.get(name);
      if (imported === undefined) {
        imported = { identifier: freeName(name, taken), isValue: false };
        taken.add(imported.identifier);
        exports.set(name, imported);
      }
      imported.isValue ||= !typeOnly;
      if (imported.identifier === name) continue;
      for (const place of places) this.#pieces[place] = imported.identifier;
    }
    return modules;
  }

  #importStatements(modules: ReadonlyMap<string, ReadonlyMap<string, Imported>>): string[] {
    const statements: string[] = [];
    for (const [from, exports] of modules) {
      const path = literal(this.#paths.between(this.#self, from));
      const all = [...exports].sort(([a], [b]) => a.localeCompare(b));
      const types = all.filter(([, { isValue }]) => !isValue);
      const values = all.filter(([, { isValue }]) => isValue);
      if (types.length > 0) statements.push(`import type ${nameList(types)} from ${path};\n`);
      if (values.length > 0) statements.push(`import ${nameList(values)} from ${path};\n`);
    }
    return statements;
  }

  /** The text as protoplugin makes a CommonJS module of it. */
  #printables(file: GeneratedFile): Printable[] {
    const printables: Printable[] = [...this.#pieces];
    for (const { name, from, typeOnly, places } of this.#used) {
      const symbol = createImportSymbol(name, from, typeOnly);
      for (const place of places) printables[place] = symbol;
    }
    for (const { place, keyword, name } of this.#exports) {
      printables[place] = file.export(keyword, name);
    }
    return printables;
  }
}

function freeName(name: string, taken: ReadonlySet<string>): string {
  let free = name;
  for (let attempt = 1; taken.has(free); attempt++) free = `${name}$${attempt}`;
  return free;
}

function nameList(names: readonly (readonly [name: string, Imported])[]): string {
  const parts = names.map(([name, { identifier }]) =>
    identifier === name ? name : `${name} as ${identifier}`,
  );
  return `{ ${parts.join(", ")} }`;
}
