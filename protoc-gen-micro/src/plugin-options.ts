import { nearest } from "./rules/nearest.ts";

/** What the user chose, beside protoplugin's own options. */
export interface MicroOptions {
  /** Which halves of a service are written. */
  readonly client: boolean;
  readonly handler: boolean;
  /** Whether topics are exported. */
  readonly topics: boolean;
  /** Whether the constants that describe the methods are exported. */
  readonly exportMethods: boolean;
  /** How messages become bytes. */
  readonly codec: "fast" | "reflect";
}

/** One plugin option: the README's table, the check and the error messages all come from here. */
export interface OptionDescription {
  readonly name: string;
  /** The values as the README and the errors name them. */
  readonly values: string;
  /** What holds when the option is not given; "" for none. */
  readonly default: string;
  readonly description: string;
  readonly accepts: (value: string) => boolean;
}

const flag = { values: "true, false", accepts: oneOf("true", "false", "1", "0") };

/** Every option that the plugin takes: protoplugin's, which protoc-gen-es has too, and then its own. */
export const optionTable: readonly OptionDescription[] = [
  {
    name: "target",
    values: "js, ts, dts, joined by +",
    default: "js+dts",
    description: "What to write: JavaScript, TypeScript, type declarations.",
    accepts: listOf("js", "ts", "dts"),
  },
  {
    name: "import_extension",
    values: "none, js, ts",
    default: "none",
    description:
      "Extension of relative imports. Node needs `js`, or `ts` where it runs TypeScript.",
    accepts: oneOf("none", "", "js", ".js", "ts", ".ts"),
  },
  {
    name: "js_import_style",
    values: "module, legacy_commonjs",
    default: "module",
    description: "Whether JavaScript uses `import` or `require`.",
    accepts: oneOf("module", "legacy_commonjs"),
  },
  {
    name: "map_imports",
    values: "<glob>:<package>",
    default: "",
    description:
      "Imports what is generated from the .proto files of this path from a package. May be repeated.",
    accepts: (value) => /^[^:]+:.+$/.test(value),
  },
  {
    name: "rewrite_imports",
    values: "<glob>:<target>",
    default: "",
    description: "Rewrites import paths of the output. May be repeated.",
    accepts: (value) => value.includes(":"),
  },
  {
    name: "keep_empty_files",
    ...flag,
    default: "false",
    description: "Writes a file for every .proto, also when there is nothing in it.",
  },
  {
    name: "ts_nocheck",
    ...flag,
    default: "false",
    description: "Puts `// @ts-nocheck` on top of each file.",
  },
  {
    name: "elide_plugin_version",
    ...flag,
    default: "false",
    description: "Leaves the plugin's version out of the first line of each file.",
  },
  {
    name: "codec",
    values: "fast, reflect",
    default: "fast",
    description:
      "How messages become bytes: by code that is written for each message, or by protobuf-es from descriptors.",
    accepts: oneOf("fast", "reflect"),
  },
  {
    name: "services",
    values: "client, handler, joined by +",
    default: "client+handler",
    description: "Which halves of a service to write.",
    accepts: listOf("client", "handler"),
  },
  {
    name: "topics",
    values: "true, false",
    default: "true",
    description:
      "Whether a topic is exported for each event. Subscribers of a handler keep theirs, unexported.",
    accepts: oneOf("true", "false"),
  },
  {
    name: "methods",
    values: "export, local",
    default: "local",
    description:
      "`export` makes the constants of the methods public, for `client.unary(Greeter_hello, …)`.",
    accepts: oneOf("export", "local"),
  },
];

/** The plugin was given an option that it does not have, or a value that the option does not take. */
export class InvalidOption extends Error {
  override readonly name = "InvalidOption";
}

/**
 * Checks the plugin's parameter, protoplugin's options included, because an error should name what would
 * be right.
 * @throws InvalidOption that lists everything wrong.
 */
export function checkParameter(parameter: string): void {
  if (parameter === "") return;
  const errors: string[] = [];
  for (const part of parameter.split(",")) {
    const [name = "", value] = splitOnce(part, "=");
    const error = checkOption(name, value);
    if (error !== undefined) errors.push(error);
  }
  if (errors.length > 0) throw new InvalidOption(errors.join("\n"));
}

function checkOption(name: string, value: string): string | undefined {
  const option = optionTable.find((candidate) => candidate.name === name);
  if (option === undefined) {
    const names = optionTable.map((candidate) => candidate.name);
    const guess = nearest(name, names);
    const hint = guess === undefined ? "" : ` Did you mean ${guess}?`;
    return `unknown option ${JSON.stringify(name)}.${hint} Options: ${names.join(", ")}.`;
  }
  if (option.accepts(value)) return undefined;
  return `option ${name} does not take ${JSON.stringify(value)}; allowed: ${option.values}.`;
}

/** Reads the options that protoplugin does not know; {@link checkParameter} has let them pass. */
export function parseOptions(raw: readonly { key: string; value: string }[]): MicroOptions {
  const given = new Map(raw.map(({ key, value }) => [key, value]));
  const services = (given.get("services") ?? "client+handler").split("+");
  return {
    client: services.includes("client"),
    handler: services.includes("handler"),
    topics: given.get("topics") !== "false",
    exportMethods: given.get("methods") === "export",
    codec: given.get("codec") === "reflect" ? "reflect" : "fast",
  };
}

function oneOf(...allowed: readonly string[]): (value: string) => boolean {
  return (value) => allowed.includes(value);
}

function listOf(...allowed: readonly string[]): (value: string) => boolean {
  return (value) => value.split("+").every((part) => allowed.includes(part));
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
