import type { EnvironmentLayer } from "./environment.ts";
import type { Output } from "./output.ts";

/** One `--option` of a command. */
export interface OptionSpec {
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** May be given more than once. */
  readonly multiple?: boolean;
  /** Stands for the value in the help, such as `duration`. */
  readonly value?: string;
  readonly help: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** What was given for a command's options; an option that was not given is absent. */
export type OptionValues<S extends OptionSpecs> = {
  readonly [K in keyof S]?: S[K] extends { readonly type: "boolean" }
    ? boolean
    : S[K] extends { readonly multiple: true }
      ? readonly string[]
      : string;
};

/** A word after the command's name, in the order of the list. */
export interface ArgumentSpec {
  readonly name: string;
  readonly help: string;
  readonly optional?: boolean;
  /** Takes all words that are left. Only the last may. */
  readonly rest?: boolean;
}

/** One run of a command. */
export interface Invocation<S extends OptionSpecs = OptionSpecs> {
  readonly options: OptionValues<S>;
  readonly arguments: readonly string[];
  readonly output: Output;
  /** `process.env` with the named environment in use laid over or under it; what the runtime reads `MICRO_*` from. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The same by where each variable comes from, a later one over those before. */
  readonly layers: readonly EnvironmentLayer[];
  /** Fires with Ctrl-C; a command that runs until then ends well by it. */
  readonly signal: AbortSignal;
  /** Fires with a second Ctrl-C, where the command {@link Command.drains | drains}; it is to end at once. */
  readonly urgent: AbortSignal;
}

/** A command of `micro`. */
export interface Command<S extends OptionSpecs = OptionSpecs> {
  readonly arguments: readonly ArgumentSpec[];
  readonly options: S;
  /** What it does beyond its one line in the list of commands. */
  readonly details?: string;
  /** It ends by itself after a second Ctrl-C, which otherwise ends the program. */
  readonly drains?: boolean;
  /** Whole command lines, with what they do. */
  readonly examples: readonly (readonly [line: string, does: string])[];
  /**
   * Resolves with the exit code, nothing for 0.
   * @throws UsageError for words that cannot be meant; MicroError for what failed.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a command that has nothing to say returns nothing
  run(invocation: Invocation<S>): Promise<number | void>;
}

/** Lets a command's options give their types to its `run`. */
export function defineCommand<const S extends OptionSpecs>(command: Command<S>): Command {
  return command as unknown as Command;
}

/** The command line itself is wrong: nothing was tried. Exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A command could not do what it was asked for. A failed call says so too, and this one loads no runtime. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  /** The gRPC code that fits; the exit code is 64 and its number. */
  readonly code: "not_found" | "unavailable" | "unknown";

  constructor(code: CommandError["code"], message: string) {
    super(message);
    this.code = code;
  }
}
