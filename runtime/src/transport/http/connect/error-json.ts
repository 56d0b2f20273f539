import { isBase64, isName, isValue, maxEndFields } from "../end-fields.ts";

/** An error of Connect without malformed parts. Its code may be unknown. */
export interface ErrorJson {
  readonly code?: string;
  readonly message: string;
  readonly details: readonly { readonly type: string; readonly value: string }[];
}

/** The end of a Connect stream without malformed parts. */
export interface EndJson {
  readonly error: ErrorJson | undefined;
  readonly metadata: readonly (readonly [name: string, values: readonly string[]])[];
}

/** Reads the JSON of an error. Returns undefined if it is not a JSON object. */
export function readErrorJson(text: string): ErrorJson | undefined {
  const value = parse(text);
  return isObject(value) ? wellFormedError(value) : undefined;
}

/** Reads the JSON of the end of a stream. One that cannot be read is an error. */
export function readEndJson(text: string): EndJson {
  const value = parse(text);
  if (!isObject(value)) return unreadable("the end of the response is not a JSON object");
  const { error = null, metadata } = value;
  if (error !== null && !isObject(error)) {
    return unreadable("the error at the end of the response is not a JSON object");
  }
  return {
    error: error === null ? undefined : wellFormedError(error),
    metadata: isObject(metadata) ? wellFormedMetadata(metadata) : [],
  };
}

function unreadable(why: string): EndJson {
  const message = `malformed response: ${why}`;
  return { error: { code: "internal", message, details: [] }, metadata: [] };
}

function wellFormedError({ code, message, details }: Record<string, unknown>): ErrorJson {
  return {
    ...(typeof code === "string" && { code }),
    message: typeof message === "string" ? message : "",
    details: (Array.isArray(details) ? details : [])
      .slice(0, maxEndFields)
      .filter(isDetail)
      .map(({ type, value }) => ({ type, value })),
  };
}

function isDetail(value: unknown): value is ErrorJson["details"][number] {
  return (
    isObject(value) &&
    typeof value.type === "string" &&
    typeof value.value === "string" &&
    isBase64(value.value)
  );
}

function wellFormedMetadata(metadata: Record<string, unknown>): EndJson["metadata"] {
  const kept: [string, readonly string[]][] = [];
  let left = maxEndFields;
  for (const [name, values] of Object.entries(metadata)) {
    if (left <= 0) break;
    if (!isName(name) || !Array.isArray(values)) continue;
    const texts = values.slice(0, left).filter((value) => typeof value === "string");
    kept.push([name, texts.filter(isValue)]);
    left -= texts.length;
  }
  return kept;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
