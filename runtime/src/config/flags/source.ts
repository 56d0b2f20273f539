import { MicroError } from "../../base/error.ts";
import { checkOptions, texts } from "../../base/option-check.ts";
import type { ConfigSource, ConfigTable, ConfigValue } from "../config.ts";
import { camelCase, EnvTree } from "../env-tree.ts";
import { StaticSource } from "../static-source.ts";

/** Options of {@link flagsSource}. */
export interface FlagsSourceOptions {
  /** Default: the process's arguments after the script's name. */
  readonly argv?: readonly string[];
}

/**
 * Configuration from command-line flags: `--database.pool-size=5` is the text `5` at
 * `database.poolSize`, `--verbose` is true and `--no-verbose` false, and a flag that is given
 * several times is the list of its values. Arguments after `--` are ignored.
 *
 * Loading it throws MicroError `invalid_argument` for anything else, such as a value without `=`.
 *
 * @example
 * ```ts
 * import { flagsSource, loadConfig } from "@micro-es/runtime";
 *
 * // --http.port=8080
 * const config = await loadConfig([flagsSource()]);
 * ```
 */
export function flagsSource(options: FlagsSourceOptions = {}): ConfigSource {
  checkOptions("flagsSource", options, { argv: texts });
  return new StaticSource("flags", () => readFlags(options.argv ?? process.argv.slice(2)));
}

const flagPattern =
  /^--((?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*)(?:\.[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*)*)(?:=(.*))?$/s;

function readFlags(argv: readonly string[]): ConfigTable {
  const flags = new Map<string, { readonly flag: string; readonly values: ConfigValue[] }>();
  for (const argument of argv) {
    if (argument === "--") break;
    const { path, flag, value } = parseFlag(argument);
    const known = flags.get(path);
    if (known === undefined) flags.set(path, { flag, values: [value] });
    else known.values.push(value);
  }
  const result = new EnvTree("flags");
  for (const [path, { flag, values }] of flags) {
    result.set(path.split("."), values.length === 1 ? values[0]! : values, flag);
  }
  return result.table();
}

function parseFlag(argument: string): { path: string; flag: string; value: string | boolean } {
  const match = flagPattern.exec(argument);
  if (match === null) {
    throw new MicroError(
      "invalid_argument",
      `flags: cannot read the argument ${JSON.stringify(argument.slice(0, 80))}; write --name=value, --name or --no-name, and -- before anything else`,
    );
  }
  const name = match[1]!;
  const given = match[2];
  const negated = name.startsWith("no-");
  if (negated && given !== undefined) {
    throw new MicroError(
      "invalid_argument",
      `flags: --${name} takes no value; write --${name.slice(3)}=${given}`,
    );
  }
  const path = (negated ? name.slice(3) : name)
    .split(".")
    .map((part) => camelCase(part.split("-")))
    .join(".");
  return { path, flag: `--${name}`, value: given ?? !negated };
}
