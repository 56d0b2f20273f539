import { MicroError } from "@micro-es/runtime";

/** The contents of a response. @throws MicroError `internal` when it is not JSON. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MicroError("internal", "Consul responded with text that is not JSON", { cause });
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
