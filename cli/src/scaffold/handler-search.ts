import type { ts } from "ts-morph";
import { type AskedPackage, programOf } from "./ask-typescript.ts";
import { type FoundImplementation, findImplementations } from "./find-implementations.ts";
import type { HandlerInterface } from "./handler-interface.ts";
import { isGenerated, isJavaScript } from "./project-files.ts";
import { isBelow, type SearchScope } from "./search-scope.ts";

/**
 * Finds implementations of handler interfaces in the packages of a scope. Each package is checked
 * at most once.
 */
export class HandlerSearch {
  readonly #scope: SearchScope;
  readonly #programs = new Map<AskedPackage, ts.Program>();
  readonly #thorough = new Map<AskedPackage, ts.Program>();

  constructor(scope: SearchScope) {
    this.#scope = scope;
  }

  /**
   * The implementations of an interface, which may have copies in several packages.
   *
   * @param within only implementations below this folder; everywhere if undefined
   */
  implementations(
    copies: readonly HandlerInterface[],
    within: string | undefined,
  ): readonly FoundImplementation[] {
    const [handler] = copies;
    if (handler === undefined) return [];
    const found = new Map<string, FoundImplementation>();
    for (const asked of this.#scope.asked) {
      const mentions = asked.files.some(
        (file) => !isGenerated(file) && file.text.includes(handler.name),
      );
      if (!mentions) continue;
      for (const it of this.#search(asked, handler)) {
        if (within !== undefined && !isBelow(it.path, within)) continue;
        const key = `${it.path}:${it.start}`;
        // Programs of several packages may contain the same file; a registration in any of them
        // counts.
        if (found.get(key)?.registered !== true) found.set(key, it);
      }
    }
    // JavaScript next to TypeScript may be its outdated compiled form.
    const all = [...found.values()];
    const typed = all.filter(({ path }) => !isJavaScript(path));
    return typed.length > 0 ? typed : all;
  }

  /**
   * Types of installed packages are read only if they could provide the missing methods, as a base
   * class can.
   */
  #search(asked: AskedPackage, handler: HandlerInterface): readonly FoundImplementation[] {
    const found = findImplementations(this.#programFor(asked, false), handler);
    const isOpen = ({ unsure, has }: FoundImplementation) =>
      unsure !== undefined && handler.methods.some(({ name }) => !has.has(name));
    if (!found.some(isOpen)) return found;
    return findImplementations(this.#programFor(asked, true), handler);
  }

  #programFor(asked: AskedPackage, withLibraries: boolean): ts.Program {
    const programs = withLibraries ? this.#thorough : this.#programs;
    let program = programs.get(asked);
    if (program === undefined) {
      program = programOf(asked, this.#scope, withLibraries);
      programs.set(asked, program);
    }
    return program;
  }
}
