import { resolve } from "node:path";
import { asMicroError, MicroError } from "../../base/error.ts";
import { readOwnFile, replaceFile } from "../../base/files.ts";
import type { Rule, ScopeGrant } from "../auth.ts";
import { RuleSet } from "../rule-set.ts";

/**
 * The last good rules, kept in a file for a start without the store. The file is read only if no
 * other user can have written it.
 */
export class KeptRules {
  readonly #path: string;
  #wanted: string | undefined;
  #saving: Promise<void> | undefined;

  constructor(path: string) {
    this.#path = resolve(path);
  }

  /**
   * The kept rules; undefined if there are none.
   * @throws MicroError if the file cannot be read or trusted.
   */
  async load(): Promise<RuleSet | undefined> {
    try {
      const text = await readOwnFile(this.#path);
      if (text === undefined) return undefined;
      const kept: { format?: unknown; rules?: unknown } | null = JSON.parse(text);
      if (kept?.format !== 1 || !Array.isArray(kept.rules)) throw new Error("unknown format");
      return new RuleSet(kept.rules);
    } catch (error) {
      const { code, message } = asMicroError(error, "data_loss");
      throw new MicroError(code, `cannot read the rules kept in ${this.#path}: ${message}`, {
        cause: error,
      });
    }
  }

  /**
   * Replaces the kept rules. Of several calls during one write only the last is written.
   * @throws MicroError `unavailable` when the file cannot be written.
   */
  async save(rules: readonly (Rule | ScopeGrant)[]): Promise<void> {
    this.#wanted = JSON.stringify({ format: 1, rules });
    this.#saving ??= this.#write().finally(() => {
      this.#saving = undefined;
    });
    await this.#saving;
  }

  /** Resolves when nothing is being written. */
  async saved(): Promise<void> {
    await this.#saving?.catch(() => {});
  }

  async #write(): Promise<void> {
    try {
      while (this.#wanted !== undefined) {
        const text = this.#wanted;
        this.#wanted = undefined;
        await replaceFile(this.#path, text, { durable: true });
      }
    } catch (error) {
      const { message } = asMicroError(error);
      throw new MicroError("unavailable", `cannot keep the rules in ${this.#path}: ${message}`, {
        cause: error,
      });
    }
  }
}
