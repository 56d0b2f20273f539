import { extname } from "node:path";
import { MicroError } from "../../base/error.ts";
import { parseJson } from "../../base/json-syntax.ts";
import type { ConfigTable } from "../config.ts";
import { checkTable } from "../config-table.ts";

/** The format of a configuration file. */
export type FileFormat = "json" | "yaml" | "toml";

const formats: ReadonlyMap<string, FileFormat> = new Map<string, FileFormat>([
  [".json", "json"],
  [".yaml", "yaml"],
  [".yml", "yaml"],
  [".toml", "toml"],
]);

/** @throws MicroError `invalid_argument` when the file name does not determine the format. */
export function formatOf(path: string): FileFormat {
  const format = formats.get(extname(path).toLowerCase());
  if (format !== undefined) return format;
  throw new MicroError(
    "invalid_argument",
    `cannot tell the format of the config file ${path}; name it .json, .yaml, .yml or .toml, or give the format`,
  );
}

/**
 * Parses a file's text. The libraries for YAML and TOML are loaded with the first such file.
 * @throws MicroError `invalid_argument` that names file, line and column.
 */
export async function parseFile(
  path: string,
  content: string,
  format: FileFormat,
): Promise<ConfigTable> {
  const value = await parsers[format](path, content);
  // An empty YAML file parses as null; its author meant an empty configuration.
  return checkTable(format === "yaml" ? (value ?? {}) : value, `config file ${path}`);
}

const parsers: Record<FileFormat, (path: string, content: string) => Promise<unknown>> = {
  async json(path, content) {
    const result = parseJson(content);
    if ("value" in result) return result.value;
    const { offset, reason, cause } = result.problem;
    throw syntaxError(path, position(content, offset), reason, cause);
  },

  async yaml(path, content) {
    const { parseYaml } = await import("./yaml.ts");
    const result = await parseYaml(content);
    if ("value" in result) return result.value;
    const { offset, reason } = result.problem;
    throw syntaxError(path, position(content, offset), firstLine(reason), undefined);
  },

  async toml(path, content) {
    const { parse, TomlError } = await import("smol-toml");
    try {
      return parse(content);
    } catch (error) {
      if (!(error instanceof TomlError)) throw unplaced(path, error);
      const { line, column } = error;
      const reason = firstLine(error.message).replace("Invalid TOML document: ", "");
      throw syntaxError(path, { line, column }, reason, error);
    }
  },
};

interface Position {
  readonly line: number;
  readonly column: number;
}

function position(content: string, offset: number): Position {
  const before = content.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  return { line: before.split("\n").length, column: offset - lineStart + 1 };
}

function syntaxError(
  path: string,
  { line, column }: Position,
  reason: string,
  cause: unknown,
): MicroError {
  return new MicroError(
    "invalid_argument",
    `config file ${path}:${line}:${column}: ${reason}; correct the file`,
    { cause },
  );
}

/** The error of a parser that does not report a position. */
function unplaced(path: string, error: unknown): MicroError {
  if (error instanceof MicroError) return error;
  const reason = error instanceof Error ? firstLine(error.message) : String(error);
  return new MicroError(
    "invalid_argument",
    `config file ${path}:1:1: ${reason}; correct the file`,
    {
      cause: error,
    },
  );
}

function firstLine(message: string): string {
  return message.split("\n")[0]!;
}
