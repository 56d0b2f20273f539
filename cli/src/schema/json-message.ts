import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  type Registry,
} from "@bufbuild/protobuf";
import { UsageError } from "../command.ts";
import { nearest } from "../nearest.ts";

/**
 * The message that a JSON text stands for, in protobuf's JSON mapping.
 *
 * @param where what the text is, such as `line 3`; for the error.
 * @throws UsageError that names the field by its path and says what it wants.
 */
export function readMessage(
  desc: DescMessage,
  text: string,
  registry: Registry,
  where: string,
): Message {
  let json: JsonValue;
  try {
    json = JSON.parse(text);
  } catch (reason) {
    throw new UsageError(`${where} is no JSON: ${(reason as Error).message}`);
  }
  try {
    return fromJson(desc, json, { registry });
  } catch {
    const { path, problem } = locate(desc, json, registry, []);
    const place = path.length === 0 ? "" : ` at ${formatPath(path)}`;
    throw new UsageError(`${where} is no ${desc.typeName}${place}: ${problem}`);
  }
}

type Path = readonly (string | number)[];

interface Found {
  readonly path: Path;
  readonly problem: string;
}

/** The deepest place that alone is refused. */
function locate(desc: DescMessage, json: JsonValue, registry: Registry, path: Path): Found {
  const whole = refusal(desc, json, registry);
  // Messages with a JSON form of their own, such as timestamps, have no fields to look into.
  if (!isObject(json) || desc.typeName.startsWith("google.protobuf.")) {
    return { path, problem: shorten(whole) };
  }
  for (const [key, value] of Object.entries(json)) {
    const field = desc.fields.find((it) => it.jsonName === key || it.name === key);
    if (field === undefined) {
      if (key.startsWith("[")) continue;
      const names = desc.fields.map((it) => it.jsonName);
      const meant = nearest(key, names);
      const hint = meant === undefined ? `it has ${names.join(", ")}` : `did you mean ${meant}?`;
      return { path: [...path, key], problem: `${desc.typeName} has no such field; ${hint}` };
    }
    const problem = refusal(desc, { [key]: value }, registry);
    if (problem === undefined) continue;
    return (
      inside(field, value, registry, [...path, key]) ?? {
        path: [...path, key],
        problem: shorten(problem),
      }
    );
  }
  return { path, problem: shorten(whole) };
}

/** The place in a field's value, where that holds messages. */
function inside(
  field: DescField,
  value: JsonValue,
  registry: Registry,
  path: Path,
): Found | undefined {
  const { message } = field;
  if (message === undefined) return undefined;
  const parts: (readonly [string | number | undefined, JsonValue])[] =
    field.fieldKind === "list" && Array.isArray(value)
      ? [...value.entries()]
      : field.fieldKind === "map" && isObject(value)
        ? Object.entries(value)
        : [[undefined, value]];
  for (const [key, part] of parts) {
    if (refusal(message, part, registry) !== undefined) {
      return locate(message, part, registry, key === undefined ? path : [...path, key]);
    }
  }
  return undefined;
}

function refusal(desc: DescMessage, json: JsonValue, registry: Registry): string | undefined {
  try {
    fromJson(desc, json, { registry });
    return undefined;
  } catch (reason) {
    return (reason as Error).message;
  }
}

/** What protobuf-es says, without the names that the path has already. */
function shorten(message: string | undefined): string {
  return (
    (message ?? "it is refused").replace(/^cannot decode .*? from JSON:? ?/, "") || "it is refused"
  );
}

function formatPath(path: Path): string {
  return path
    .map((part, at) => (typeof part === "number" ? `[${part}]` : at === 0 ? part : `.${part}`))
    .join("");
}

function isObject(json: JsonValue): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
