import type { EnvironmentLayer } from "./environment.ts";
import type { Output } from "./output.ts";

/** An `--option` of a command. */
export interface OptionSpec {
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** May be repeated. */
  readonly multiple?: boolean;
  /** Placeholder of the value in the help, such as `duration`. */
  readonly value?: string;
  readonly help: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** Values of a command's options; options that were not passed are absent. */
export type OptionValues<S extends OptionSpecs> = {
  readonly [K in keyof S]?: S[K] extends { readonly type: "boolean" }
    ? boolean
    : S[K] extends { readonly multiple: true }
      ? readonly string[]
      : string;
};

/** A positional argument, in the order of the list. */
export interface ArgumentSpec {
  readonly name: string;
  readonly help: string;
  readonly optional?: boolean;
  /** Takes all remaining arguments. Only the last one may. */
  readonly rest?: boolean;
}

/** One run of a command. */
export interface Invocation<S extends OptionSpecs = OptionSpecs> {
  readonly options: OptionValues<S>;
  readonly arguments: readonly string[];
  readonly output: Output;
  /** All commands of the program. */
  readonly commands: readonly CommandEntry[];
  /**
   * `process.env` merged with the named environment in use; the runtime reads `MICRO_*` from it.
   */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The same by source, later ones override earlier ones. */
  readonly layers: readonly EnvironmentLayer[];
  /** Aborts on Ctrl-C; a command that runs until then ends normally. */
  readonly signal: AbortSignal;
  /**
   * Aborts on a second Ctrl-C if the command {@link Command.drains | drains}; it has to end at
   * once.
   */
  readonly urgent: AbortSignal;
}

/** A command of `micro`. */
export interface Command<S extends OptionSpecs = OptionSpecs> {
  readonly arguments: readonly ArgumentSpec[];
  readonly options: S;
  /** Description in addition to its line in the list of commands. */
  readonly details?: string;
  /** It ends by itself after a second Ctrl-C, which otherwise ends the program. */
  readonly drains?: boolean;
  /** Complete command lines with a description. */
  readonly examples: readonly (readonly [line: string, does: string])[];
  /**
   * Resolves with the exit code, nothing for 0.
   *
   * @throws UsageError for invalid arguments; MicroError for failed calls and backends.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: without an exit code, it returns nothing
  run(invocation: Invocation<S>): Promise<number | void>;
}

/** A command in the list; its module is loaded when it runs. */
export interface CommandEntry {
  /** One word or two, such as `registry watch`. */
  readonly name: string;
  readonly group: string;
  readonly summary: string;
  load(): Promise<{ readonly command: Command }>;
}

/** Infers the types of `run` from a command's options. */
export function defineCommand<const S extends OptionSpecs>(command: Command<S>): Command {
  return command as unknown as Command;
}
