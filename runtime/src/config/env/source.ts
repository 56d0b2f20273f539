import { MicroError } from "../../base/error.ts";
import { checkOptions, object, oneOf, required, text } from "../../base/option-check.ts";
import type { ConfigSource, ConfigTable } from "../config.ts";
import { camelCase, EnvTree } from "../env-tree.ts";
import { StaticSource } from "../static-source.ts";

/** Selects variables, and how their names become paths. */
export interface EnvSourceOptions {
  /**
   * Only variables with this prefix are read; the rest of the name is the path. Must not be empty:
   * `SHOP_`.
   */
  readonly prefix: string;
  /**
   * Separates tables in a name. With `__`, the default, a single underscore separates words:
   * `SHOP_DATABASE__POOL_SIZE` is `database.poolSize`. With `_` each part is a table or a value:
   * `SHOP_DATABASE_HOST` is `database.host`.
   */
  readonly separator?: "__" | "_";
  /** How the words of a name are joined: `poolSize`, the default, or `pool_size`. */
  readonly words?: "camel" | "snake";
  /** Default: the process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Configuration from environment variables, as they are when the source is loaded. Every value is
 * text; a reader for a number or a list converts it.
 *
 * Loading it throws MicroError `invalid_argument` for two variables with one path, for one that is
 * a value where another needs a table, and for a name with an empty part.
 *
 * @example
 * ```ts
 * import { envSource, loadConfig } from "@micro-es/runtime";
 *
 * // APP_HTTP_PORT=8080 becomes http.port.
 * const config = await loadConfig([envSource({ prefix: "APP_" })]);
 * ```
 */
export function envSource(options: EnvSourceOptions): ConfigSource {
  checkOptions("envSource", options, {
    prefix: required({ ...text, words: 'text such as "SHOP_", so that no other variable is read' }),
    separator: oneOf("__", "_"),
    words: oneOf("camel", "snake"),
    env: object,
  });
  return new StaticSource("env", () => readEnv(options));
}

function readEnv(options: EnvSourceOptions): ConfigTable {
  const { prefix, separator = "__", words = "camel", env = process.env } = options;
  const values = new EnvTree("env");
  for (const variable of Object.keys(env).sort()) {
    const value = env[variable];
    if (value === undefined || !variable.startsWith(prefix)) continue;
    const parts = variable.slice(prefix.length).toLowerCase().split(separator);
    if (parts.some((part) => !/^[a-z0-9]+(_[a-z0-9]+)*$/.test(part))) {
      throw new MicroError(
        "invalid_argument",
        `env: the variable ${JSON.stringify(variable)} has no path behind ${prefix}; write names of letters ` +
          `and digits with ${separator} between tables`,
      );
    }
    const path = parts.map((part) => (words === "camel" ? camelCase(part.split("_")) : part));
    values.set(path, value, variable);
  }
  return values.table();
}
