/**
 * Allocates unique names within a scope. A name that is taken gets the suffix `$`, then `$1`, `$2`,
 * …, as in protoc-gen-es: names in a .proto cannot contain a dollar sign.
 */
export class NameAllocator {
  readonly #taken: Set<string>;

  /** @param taken names that are not available */
  constructor(taken: Iterable<string>) {
    this.#taken = new Set(taken);
  }

  take(wanted: string): string {
    let name = wanted;
    for (let attempt = 1; this.#taken.has(name); attempt++) {
      name = attempt === 1 ? `${wanted}$` : `${wanted}$${attempt - 1}`;
    }
    this.#taken.add(name);
    return name;
  }
}
