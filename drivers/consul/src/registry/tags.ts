import { Buffer } from "node:buffer";
import { deflateSync, inflateSync } from "node:zlib";
import type { Endpoint } from "@micro-es/runtime/driver";

/*
 * go-micro keeps what Consul has no field for in tags: `t-` for a pair of metadata, `e-` for an
 * endpoint and `v-` for the version, each followed by its text, compressed by zlib, in hexadecimal.
 * It also reads `t=`, `e=` and `v=` followed by the text itself; the first tag of a kind decides
 * which of the two forms is read.
 */

/** What the tags of a node contain; not validated. */
export interface TagContents {
  readonly version: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly endpoints: readonly { readonly name: unknown; readonly metadata: unknown }[];
}

/** The most that the tags of one node are decompressed to, in bytes: Go's endpoints have types. */
const maxTextBytes = 2 * 1024 * 1024;

export function encodeTags(
  version: string,
  metadata: Readonly<Record<string, string>>,
  endpoints: readonly Endpoint[],
): readonly string[] {
  return [
    tag("v", version),
    ...Object.entries(metadata).map(([key, value]) => tag("t", JSON.stringify({ [key]: value }))),
    ...endpoints.map(({ name, metadata }) =>
      tag("e", JSON.stringify({ name, request: null, response: null, metadata })),
    ),
  ];
}

/** Whether these are the tags of a node: each has a version. */
export function hasVersion(tags: readonly string[]): boolean {
  return tags.some(isVersion);
}

/**
 * Reads the tags of a node, whoever wrote it. Ignores those that are not valid.
 * @throws RangeError when they contain too much.
 */
export function decodeTags(tags: readonly string[]): TagContents {
  const budget = { left: maxTextBytes };
  const versionTag = tags.find(isVersion) ?? "";
  const metadata: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const text of textsOf("t", tags, budget)) {
    const pairs = parse(text);
    if (isObject(pairs)) for (const key of Object.keys(pairs)) metadata[key] = pairs[key];
  }
  const endpoints = textsOf("e", tags, budget).flatMap((text) => {
    const endpoint = parse(text);
    return isObject(endpoint) ? [{ name: endpoint.name, metadata: endpoint.metadata ?? {} }] : [];
  });
  return { version: textOf(versionTag, budget) ?? "", metadata, endpoints };
}

function tag(kind: "t" | "e" | "v", text: string): string {
  return `${kind}-${deflateSync(text).toString("hex")}`;
}

function isVersion(tag: string): boolean {
  return /^v[-=]/.test(tag);
}

/** The texts of all tags of a kind. */
function textsOf(kind: string, tags: readonly string[], budget: { left: number }): string[] {
  const own = tags.filter((tag) => tag[0] === kind && (tag[1] === "-" || tag[1] === "="));
  const style = own[0]?.[1];
  return own.flatMap((tag) => {
    const text = tag[1] === style ? textOf(tag, budget) : undefined;
    return text === undefined ? [] : [text];
  });
}

/** The text of a tag; undefined if it is not compressed text. */
function textOf(tag: string, budget: { left: number }): string | undefined {
  const encoded = tag.slice(2);
  if (tag[1] === "=") return spend(Buffer.from(encoded), budget);
  if (!/^(?:[\da-f]{2})+$/i.test(encoded)) return undefined;
  try {
    const maxOutputLength = budget.left + 1;
    return spend(inflateSync(Buffer.from(encoded, "hex"), { maxOutputLength }), budget);
  } catch (error) {
    if (error instanceof RangeError) throw new RangeError("its tags contain too much");
    return undefined;
  }
}

function spend(bytes: Buffer, budget: { left: number }): string {
  budget.left -= bytes.length;
  if (budget.left < 0) throw new RangeError("its tags contain too much");
  return bytes.toString();
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
