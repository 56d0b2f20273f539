import type { LintRuleId } from "./lint-rules.ts";
import { type Element, sourcePosition } from "./source-info.ts";

/** The .proto files say something with the micro.v1 options that cannot be meant. */
export class InvalidSchema extends Error {
  override readonly name = "InvalidSchema";
}

/** Something in a schema that breaks a rule. */
export interface Problem {
  readonly rule: LintRuleId;
  /** What the option stands on. */
  readonly element: Element;
  /** Field numbers that lead from there to the option, as in protobuf's source information. */
  readonly optionPath: readonly number[];
  /** What is wrong, and what to do about it. */
  readonly message: string;
}

/** Collects everything that is wrong in a run, so that one run shows all of it. */
export class Problems {
  readonly #found: Problem[] = [];

  /** All problems, in the order they were found. */
  get found(): readonly Problem[] {
    return this.#found;
  }

  add(rule: LintRuleId, element: Element, optionPath: readonly number[], message: string): void {
    this.#found.push({ rule, element, optionPath, message });
  }

  /** @throws InvalidSchema that lists all problems. */
  throwIfAny(): void {
    const count = this.#found.length;
    if (count === 0) return;
    const what = count === 1 ? "1 error" : `${count} errors`;
    const lines = this.#found.map(({ element, optionPath, message }) => {
      return `${sourcePosition(element, optionPath)}: ${element.toString()}: ${message}`;
    });
    throw new InvalidSchema(`${what} in micro.v1 options\n${lines.join("\n")}`);
  }
}
