import type { Config, ConfigSource } from "@micro-es/runtime";
import { type OptionSpecs, UsageError } from "../command.ts";
import type { EnvironmentLayer } from "../environment.ts";
import { nearest } from "../nearest.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/** The option that says where a program's configuration comes from; without it `MICRO_CONFIG` does. */
export const sourceOptions = {
  from: {
    type: "string",
    multiple: true,
    value: "source",
    help: "file:path, env:PREFIX_, nats:bucket or nats:bucket/prefix; a later one wins",
  },
} as const satisfies OptionSpecs;

export const sourceDetails =
  "Values are the MICRO_* variables that services read, each as it is in force, and those of the program's own sources: of --from,\nelse of MICRO_CONFIG, which lists them with commas.";

/** Where values of `MICRO_*` variables come from that nobody sets. */
export const defaultSource = "default";

/**
 * The configuration that a service of this environment has: the runtime's own variables under their names, and over
 * them what the program's sources say.
 *
 * @throws UsageError for a source that cannot be; MicroError for one that cannot be read.
 */
export async function openConfig(
  environment: Variables,
  layers: readonly EnvironmentLayer[],
  from: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<Config> {
  const { environmentVariables, loadConfig, memorySource, silentLogger } = await import(
    "@micro-es/runtime"
  );
  const known = Object.values(environmentVariables);
  const settings = layers.map(({ source, values }) => {
    const set = known.flatMap(({ name }) => (values[name] ? [[name, values[name]]] : []));
    return memorySource(Object.fromEntries(set), source);
  });
  const defaults = known.map(({ name, fallback }) => [name, fallback.replaceAll("`", "")]);
  const words = from ?? environment.MICRO_CONFIG?.split(",").map((word) => word.trim()) ?? [];
  const sources = await Promise.all(
    words.filter((word) => word !== "").map((word) => openSource(word, environment)),
  );
  return loadConfig(
    [memorySource(Object.fromEntries(defaults), defaultSource), ...settings, ...sources],
    { logger: silentLogger, signal },
  );
}

const kinds = ["file", "env", "nats"] as const;

async function openSource(word: string, environment: Variables): Promise<ConfigSource> {
  const [, kind = "", rest = ""] = /^([^:]*):(.*)$/s.exec(word) ?? [];
  const known = kinds.find((it) => it === kind);
  if (known === undefined || rest === "") {
    const meant = nearest(kind, kinds);
    const hint = meant === undefined || known !== undefined ? "" : `; did you mean ${meant}:?`;
    throw new UsageError(
      `"${word}" is no source of configuration: write file:path, env:PREFIX_ or nats:bucket${hint}`,
    );
  }
  if (known === "nats") {
    const { natsSource } = await import("@micro-es/runtime/config/nats");
    const [bucket = "", prefix] = rest.split("/");
    const servers = environment.MICRO_NATS_URL;
    return natsSource({
      bucket,
      ...(prefix === undefined ? {} : { prefix }),
      ...(servers === undefined || servers === "" ? {} : { servers }),
    });
  }
  const { envSource, fileSource } = await import("@micro-es/runtime");
  return known === "file"
    ? fileSource(rest, { watch: false })
    : envSource({ prefix: rest, env: environment });
}
