import { Metadata } from "@micro-es/runtime";
import type { Header } from "./gen/connectrpc/conformance/v1/service_pb.ts";

/**
 * Proves that the suite fails when something is wrong: of several values of one name, only the
 * first is told.
 */
const plantError = process.env.CONFORMANCE_PLANT === "1";

/**
 * A header as the suite gives it, and expects it: bytes are in base64, without padding, as on the
 * wire.
 */
type Line = Pick<Header, "name" | "value">;

export function toMetadata(lines: readonly Line[]): Metadata {
  const metadata = new Metadata();
  addLines(metadata, lines);
  return metadata;
}

export function addLines(metadata: Metadata, lines: readonly Line[]): void {
  for (const { name, value: values } of lines) {
    for (const value of values) {
      const binary = name.toLowerCase().endsWith("-bin");
      metadata.append(name, binary ? new Uint8Array(Buffer.from(value, "base64")) : value);
    }
  }
}

export function toLines(metadata: Metadata | undefined): Line[] {
  const lines = new Map<string, string[]>();
  for (const [name, value] of metadata ?? []) {
    const text =
      typeof value === "string" ? value : Buffer.from(value).toString("base64").replace(/=+$/, "");
    lines.set(name, [...(lines.get(name) ?? []), text]);
  }
  if (plantError) for (const values of lines.values()) values.splice(1);
  return [...lines].map(([name, value]) => ({ name, value }));
}
