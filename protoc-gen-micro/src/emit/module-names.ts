import type { Name } from "./layout.ts";
import { collectWords, isReserved } from "./words.ts";

/** A name that another module exports. */
export interface ImportedName extends Name {
  readonly kind: "imported";
  /** The module that exports it. */
  readonly from: string;
  readonly typeOnly: boolean;
}

/** An import from another module. */
export interface Import {
  readonly identifier: string;
  /** Whether it is used as a value and not only as a type. */
  isValue: boolean;
}

/** Variables of a function whose names derive from the schema. */
export class Scope {
  readonly names: Name[] = [];

  /**
   * Declares a variable. Its name is unique in the file, except among variables of other functions.
   */
  local(wanted: string): Name {
    // The name of a field may begin with a digit or be empty.
    const name = /^[A-Za-z_$]/.test(wanted) ? wanted : `_${wanted}`;
    const local: Name = { kind: "local", name, places: [] };
    this.names.push(local);
    return local;
  }
}

/**
 * The names of a module. Its exports are fixed, and so are the words that the generator itself
 * writes: they are collected from the whole text, so that no global and no variable is missed. All
 * other names are chosen to be free.
 */
export class ModuleNames {
  readonly #words = new Set<string>();
  readonly #seen = new Set<string>();
  readonly #declared = new Map<string, Name>();
  readonly #private: Name[] = [];
  readonly #imported = new Map<string, Map<string, ImportedName>>();
  /** In the order of first use. */
  readonly #used: ImportedName[] = [];
  readonly #scopes: Scope[] = [];

  /** Reserves the words of a piece of code. */
  reserve(code: string): void {
    if (this.#seen.has(code)) return;
    this.#seen.add(code);
    collectWords(code, this.#words);
  }

  /** A top-level declaration with a name that other files rely on. */
  declared(name: string): Name {
    let found = this.#declared.get(name);
    if (found === undefined) {
      found = { kind: "declared", name, places: [] };
      this.#declared.set(name, found);
    }
    return found;
  }

  /** A new unexported top-level declaration. */
  private(wanted: string): Name {
    const name: Name = { kind: "private", name: wanted, places: [] };
    this.#private.push(name);
    return name;
  }

  imported(name: string, from: string, typeOnly: boolean): ImportedName {
    const key = typeOnly ? `type ${from}` : from;
    let names = this.#imported.get(key);
    if (names === undefined) {
      names = new Map();
      this.#imported.set(key, names);
    }
    let found = names.get(name);
    if (found === undefined) {
      found = { kind: "imported", name, from, typeOnly, places: [] };
      names.set(name, found);
    }
    return found;
  }

  scope(): Scope {
    const scope = new Scope();
    this.#scopes.push(scope);
    return scope;
  }

  /** Records that a piece of the text is this name. */
  use(name: Name | ImportedName, place: number): void {
    if (name.places.length === 0 && "from" in name) this.#used.push(name);
    name.places.push(place);
  }

  /**
   * Resolves all names.
   * @param rename receives each name that differs from the preferred one
   * @returns the imports by module
   */
  resolve(rename: (name: Name, to: string) => void): Map<string, Map<string, Import>> {
    const taken = new Set(this.#words);
    for (const name of this.#declared.keys()) taken.add(name);
    for (const name of this.#private) {
      const found = take(name.name, taken, "$", taken);
      if (found !== name.name) rename(name, found);
    }
    const modules = this.#resolveImports(taken, rename);
    for (const { names } of this.#scopes) {
      const own = new Set<string>();
      for (const name of names) {
        const found = take(name.name, own, "$", taken);
        if (found !== name.name) rename(name, found);
      }
    }
    return modules;
  }

  #resolveImports(
    taken: Set<string>,
    rename: (name: Name, to: string) => void,
  ): Map<string, Map<string, Import>> {
    const modules = new Map<string, Map<string, Import>>();
    for (const used of this.#used) {
      const { name, from, typeOnly } = used;
      let imports = modules.get(from);
      if (imports === undefined) {
        imports = new Map();
        modules.set(from, imports);
      }
      let found = imports.get(name);
      if (found === undefined) {
        found = { identifier: take(name, taken, "$1", taken), isValue: false };
        imports.set(name, found);
      }
      found.isValue ||= !typeOnly;
      if (found.identifier !== name) rename(used, found.identifier);
    }
    return modules;
  }
}

/**
 * Takes a name, unchanged or with the suffix `$`, `$1`, …, which names in a .proto cannot have.
 *
 * @param own names of the same scope, to which it is added
 * @param first the first suffix to try, as protoc-gen-es does
 * @param taken other names that are not available
 */
function take(
  wanted: string,
  own: Set<string>,
  first: "$" | "$1",
  taken: ReadonlySet<string>,
): string {
  let name = wanted;
  for (let next = first === "$" ? 0 : 1; isReserved(name) || own.has(name) || taken.has(name); ) {
    name = `${wanted}$${next === 0 ? "" : next}`;
    next++;
  }
  own.add(name);
  return name;
}
