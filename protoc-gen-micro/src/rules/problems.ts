import { type Element, sourcePosition } from "./source-info.ts";

/** The .proto files say something with the micro.v1 options that cannot be meant. */
export class InvalidSchema extends Error {
  override readonly name = "InvalidSchema";
}

/** Collects everything that is wrong in a run, so that one run shows all of it. */
export class Problems {
  readonly #found: string[] = [];

  /**
   * @param element what the option stands on
   * @param optionPath field numbers that lead to the option, as in protobuf's source information
   * @param message what is wrong, and what to do about it
   */
  add(element: Element, optionPath: readonly number[], message: string): void {
    this.#found.push(`${sourcePosition(element, optionPath)}: ${element.toString()}: ${message}`);
  }

  /** @throws InvalidSchema that lists all problems, in the order they were found. */
  throwIfAny(): void {
    const count = this.#found.length;
    if (count === 0) return;
    const what = count === 1 ? "1 error" : `${count} errors`;
    throw new InvalidSchema(`${what} in micro.v1 options\n${this.#found.join("\n")}`);
  }
}
