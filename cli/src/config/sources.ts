import type { Config, ConfigSource } from "@micro-es/runtime";
import { withoutWaiting } from "../backend-parts.ts";
import type { OptionSpecs } from "../command.ts";
import type { EnvironmentLayer } from "../environment.ts";
import { UsageError } from "../errors.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/** The option for the sources of a program's configuration; the default is `MICRO_CONFIG`. */
export const sourceOptions = {
  from: {
    type: "string",
    multiple: true,
    value: "source",
    help: "file:path, env:PREFIX_ or the URL of a driver; later ones override",
  },
} as const satisfies OptionSpecs;

export const sourceDetails =
  "Values are the MICRO_* variables that services read, and those of the program's sources: of --from, else of the\ncomma-separated MICRO_CONFIG.";

/** Source of `MICRO_*` variables that are not set. */
export const defaultSource = "default";

/**
 * The configuration of a service in this environment: the runtime's variables under their names,
 * overridden by the program's sources.
 *
 * @throws UsageError for an invalid source; MicroError for one that cannot be read.
 */
export async function openConfig(
  environment: Variables,
  layers: readonly EnvironmentLayer[],
  from: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<Config> {
  const { loadConfig, memorySource, silentLogger } = await import("@micro-es/runtime");
  const { environmentVariables } = await import("@micro-es/runtime/environment");
  const known = Object.values(environmentVariables);
  const settings = layers.map(({ source, values }) => {
    const set = known.flatMap(({ name }) => (values[name] ? [[name, values[name]]] : []));
    return memorySource(Object.fromEntries(set), source);
  });
  const defaults = known.map(({ name, fallback }) => [name, fallback.replaceAll("`", "")]);
  const sources = await openSources(environment, from);
  return loadConfig(
    [memorySource(Object.fromEntries(defaults), defaultSource), ...settings, ...sources],
    { logger: silentLogger, signal },
  );
}

/** The sources of `--from`, or else those that a service of this environment has. */
async function openSources(
  environment: Variables,
  from: readonly string[] | undefined,
): Promise<readonly ConfigSource[]> {
  const { asMicroError, configSources, loadDrivers } = await import("@micro-es/runtime");
  const chosen =
    from === undefined ? environment : { ...environment, MICRO_CONFIG: from.join(",") };
  try {
    const drivers = await loadDrivers({ environment: chosen });
    return configSources({ drivers, environment: withoutWaiting(chosen) });
  } catch (reason) {
    const { message } = asMicroError(reason);
    throw new UsageError(
      from === undefined ? message : message.replace("MICRO_CONFIG=", "--from "),
    );
  }
}
