import type { LintRuleId } from "./lint-rules.ts";
import { type Element, sourcePosition } from "./source-info.ts";

/** The .proto files cannot be generated, most often because of contradictory micro.v1 options. */
export class InvalidSchema extends Error {
  override readonly name = "InvalidSchema";
}

/** A violation of a rule in a schema. */
export interface Problem {
  readonly rule: LintRuleId;
  /** The element that has the option. */
  readonly element: Element;
  /** The field numbers from the element to the option, as in protobuf's source information. */
  readonly optionPath: readonly number[];
  /** The mistake and how to fix it. */
  readonly message: string;
}

/** Collects the problems of a run, so that all are reported at once. */
export class Problems {
  readonly #found: Problem[] = [];

  /** All problems in the order they were found. */
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
