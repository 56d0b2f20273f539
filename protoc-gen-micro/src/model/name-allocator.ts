/**
 * Gives out names within one scope. One that is taken gets a `$`, then `$1`, `$2`, …, as protoc-gen-es does it:
 * no name in a .proto has a dollar sign.
 */
export class NameAllocator {
  readonly #taken: Set<string>;

  /** @param taken names that belong to somebody else */
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
