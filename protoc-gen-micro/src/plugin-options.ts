import { nearest } from "./rules/nearest.ts";

/** The plugin's own options, in addition to protoplugin's. */
export interface MicroOptions {
  /** Whether clients are generated. */
  readonly client: boolean;
  /** Whether handler interfaces are generated. */
  readonly handler: boolean;
  /** Whether topics are exported. */
  readonly topics: boolean;
  /** Whether the constants that describe the methods are exported. */
  readonly exportMethods: boolean;
  /** How codecs work: code written for each message, or protobuf-es with the descriptor. */
  readonly codec: "fast" | "reflect";
}

/** A plugin option: source of the README's table, the validation and the error messages. */
export interface OptionDescription {
  readonly name: string;
  /** The allowed values, as shown in the README and in errors. */
  readonly values: string;
  /** The default value; "" for none. */
  readonly default: string;
  readonly description: string;
  readonly accepts: (value: string) => boolean;
}

const flag = { values: "true, false", accepts: oneOf("true", "false", "1", "0") };

/** All options of the plugin: protoplugin's, which protoc-gen-es shares, then its own. */
export const optionTable: readonly OptionDescription[] = [
  {
    name: "target",
    values: "js, ts, dts, joined by +",
    default: "js+dts",
    description: "What to generate: JavaScript, TypeScript, type declarations.",
    accepts: listOf("js", "ts", "dts"),
  },
  {
    name: "import_extension",
    values: "none, js, ts",
    default: "none",
    description:
      "Extension of relative imports. Node needs `js`, or `ts` when it runs TypeScript itself.",
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
      "Imports the generated code of matching .proto files from a package. May be repeated.",
    accepts: (value) => /^[^:]+:.+$/.test(value),
  },
  {
    name: "rewrite_imports",
    values: "<glob>:<target>",
    default: "",
    description: "Rewrites import paths in the output. May be repeated.",
    accepts: (value) => value.includes(":"),
  },
  {
    name: "keep_empty_files",
    ...flag,
    default: "false",
    description: "Writes the files of every .proto, even when they are empty.",
  },
  {
    name: "ts_nocheck",
    ...flag,
    default: "false",
    description: "Adds `// @ts-nocheck` at the top of each file.",
  },
  {
    name: "elide_plugin_version",
    ...flag,
    default: "false",
    description: "Omits the plugin version from the first line of each file.",
  },
  {
    name: "codec",
    values: "fast, reflect",
    default: "fast",
    description:
      "How codecs work: code generated for each message, or protobuf-es with descriptors.",
    accepts: oneOf("fast", "reflect"),
  },
  {
    name: "services",
    values: "client, handler, joined by +",
    default: "client+handler",
    description: "Which halves of a service to generate.",
    accepts: listOf("client", "handler"),
  },
  {
    name: "topics",
    values: "true, false",
    default: "true",
    description:
      "Whether to export a topic for each event. Without it, subscribers use unexported ones.",
    accepts: oneOf("true", "false"),
  },
  {
    name: "methods",
    values: "export, local",
    default: "local",
    description: "`export` exports the method constants, for `client.unary(Greeter_hello, …)`.",
    accepts: oneOf("export", "local"),
  },
];

/** An unknown plugin option, or an invalid value of one. */
export class InvalidOption extends Error {
  override readonly name = "InvalidOption";
}

/**
 * Validates the plugin's parameter, including protoplugin's options, so that every error names the
 * allowed values.
 * @throws InvalidOption that lists all errors
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
  return `option ${name} does not accept ${JSON.stringify(value)}; allowed: ${option.values}.`;
}

/** Parses the plugin's own options, which {@link checkParameter} has validated. */
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
