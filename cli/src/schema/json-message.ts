import type {
  DescField,
  DescMessage,
  JsonObject,
  JsonValue,
  Message,
  Registry,
} from "@bufbuild/protobuf";
import { jsonFormatWith, protobufCodec } from "@micro-es/runtime/codec";
import { UsageError } from "../errors.ts";
import { nearest } from "../nearest.ts";

/**
 * Parses a message from JSON, in protobuf's JSON mapping. Values that would change are refused, as
 * services refuse them.
 *
 * @param where the origin of the text for errors, such as `line 3`
 * @throws UsageError with the path of the field and the expected value.
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
    throw new UsageError(`${where} is not valid JSON: ${(reason as Error).message}`);
  }
  if (isTooDeep(json)) {
    throw new UsageError(`${where} is nested more than ${maxDepth} deep`);
  }
  try {
    return decode(desc, text, registry);
  } catch (reason) {
    // An error of the text alone, such as a repeated member, has no place in the value.
    const { path, problem } =
      refusal(desc, json, registry) === undefined
        ? { path: [], problem: causeOf(reason) }
        : locate(desc, json, registry, []);
    const place = path.length === 0 ? "" : ` at ${formatPath(path)}`;
    throw new UsageError(`${where} is not a valid ${desc.typeName}${place}: ${problem}`);
  }
}

function decode(desc: DescMessage, text: string, registry: Registry): Message {
  const format = jsonFormatWith({ registry, ignoreUnknownFields: false });
  return format.codecFor(protobufCodec(desc)).decode(Buffer.from(text)) as Message;
}

/** The format's own message, without the attempt. */
function causeOf(reason: unknown): string {
  const { cause, message } = reason as Error;
  return cause instanceof Error ? cause.message : message;
}

/** Maximum nesting of values: the limit of protobuf parsers, including the runtime's. */
const maxDepth = 100;

/** Without recursion, because values may be too deep for it. */
function isTooDeep(json: JsonValue): boolean {
  let level = [json];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) return true;
    level = level.flatMap((it) =>
      typeof it === "object" && it !== null ? Object.values(it).filter(isNested) : [],
    );
  }
  return false;
}

function isNested(value: JsonValue): boolean {
  return typeof value === "object" && value !== null;
}

type Path = readonly (string | number)[];

interface Found {
  readonly path: Path;
  readonly problem: string;
}

/** The deepest position that is refused by itself. */
function locate(desc: DescMessage, json: JsonValue, registry: Registry, path: Path): Found {
  const whole = refusal(desc, json, registry);
  // Messages with a special JSON form, such as timestamps, have no fields to descend into.
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

/** The position in a field's value, if that contains messages. */
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
    decode(desc, JSON.stringify(json), registry);
    return undefined;
  } catch (reason) {
    return causeOf(reason);
  }
}

/** The message of protobuf-es, without names that the path already has. */
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
