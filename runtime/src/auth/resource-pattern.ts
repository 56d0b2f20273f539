import { MicroError } from "../base/error.ts";
import type { Resource, ResourcePattern, ResourceType } from "./auth.ts";

const types: readonly ResourceType[] = ["method", "topic", "channel", "route"];

/** The longest name of a pattern, in characters. */
export const maxPatternLength = 512;

/**
 * A pattern, prepared for comparison. The more of a name a pattern states, the more specific it is:
 * an exact name before a prefix, and a longer prefix before a shorter one.
 */
export class PreparedPattern {
  readonly #type: ResourceType;
  /** The name, or the prefix that a `*` follows. */
  readonly #text: string;
  readonly #isPrefix: boolean;

  /**
   * @param where names the pattern, for messages
   * @throws MicroError `invalid_argument` for a pattern that selects nothing or is ambiguous.
   */
  constructor({ type, name }: ResourcePattern, where: string) {
    if (!types.includes(type)) throw invalid(where, `type must be one of ${types.join(", ")}`);
    if (typeof name !== "string" || name.length === 0 || name.length > maxPatternLength) {
      throw invalid(where, `name must be a text of 1 to ${maxPatternLength} characters`);
    }
    if (!/^[\x21-\x7e]+$/.test(name)) throw invalid(where, `name has a forbidden character`);
    const star = name.indexOf("*");
    if (star !== -1 && !/^(?:\*|[^*]+[./]\*)$/.test(name)) {
      throw invalid(
        where,
        `name ${JSON.stringify(name)} has a * that is not the last part of it; ` +
          "write a full name, package.*, package.Service/* or *",
      );
    }
    this.#type = type;
    this.#isPrefix = star !== -1;
    this.#text = this.#isPrefix ? name.slice(0, -1) : name;
  }

  /** Larger for a pattern that selects less. */
  get specificity(): number {
    return this.#isPrefix ? this.#text.length : maxPatternLength + 1;
  }

  matches({ type, name }: Resource): boolean {
    if (type !== this.#type) return false;
    return this.#isPrefix ? name.startsWith(this.#text) : name === this.#text;
  }
}

function invalid(where: string, what: string): MicroError {
  return new MicroError("invalid_argument", `the resource of ${where}: ${what}`, {
    outcome: "not-executed",
  });
}
