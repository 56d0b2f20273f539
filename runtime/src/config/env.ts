import { MicroError } from "../error.ts";
import type { ConfigSource, ConfigTable } from "./config.ts";
import { camelCase, NamedValues } from "./named-values.ts";
import { StaticSource } from "./static-source.ts";

/** Which variables are read, and how their names become paths. */
export interface EnvSourceOptions {
  /** Only variables that begin so are read, and the rest of the name is the path. Not empty: `SHOP_`. */
  readonly prefix: string;
  /**
   * What separates tables in a name. With `__`, the default, a single underscore separates words:
   * `SHOP_DATABASE__POOL_SIZE` is `database.poolSize`. With `_` each part is a table or a value:
   * `SHOP_DATABASE_HOST` is `database.host`.
   */
  readonly separator?: "__" | "_";
  /** How words become one name: `poolSize`, the default, or `pool_size`. */
  readonly words?: "camel" | "snake";
  /** Default: the process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Configuration out of environment variables, as they are when it is loaded. Every value is text; the reader
 * that asks for a number or a list makes one of it.
 *
 * Loading it throws MicroError `invalid_argument` for two variables with one path, for one that is a value where
 * another needs a table, and for a name with an empty part.
 */
export function envSource(options: EnvSourceOptions): ConfigSource {
  if (!options.prefix) {
    throw new MicroError(
      "invalid_argument",
      'envSource needs a prefix such as "SHOP_", so that it takes no variable of other programs',
    );
  }
  return new StaticSource("env", () => readEnv(options));
}

function readEnv(options: EnvSourceOptions): ConfigTable {
  const { prefix, separator = "__", words = "camel", env = process.env } = options;
  const values = new NamedValues("env");
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
