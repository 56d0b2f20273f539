import { codeToNumber, type MicroError } from "../../../base/error.ts";
import type { Metadata } from "../../../base/metadata.ts";
import { errorLines, headerLines } from "../../http-headers.ts";
import { HeaderField } from "../../http2/hpack/header-field.ts";
import { wellFormedText } from "../well-formed-text.ts";

const noFields: readonly HeaderField[] = [];

/** Metadata as header fields. */
export function metadataFields(metadata: Metadata | undefined): readonly HeaderField[] {
  if (metadata === undefined) return noFields;
  return [...headerLines(metadata)].map(([name, value]) => new HeaderField(name, value.trim()));
}

/** The status of an error as header fields. */
export function statusFields(error: MicroError): HeaderField[] {
  const fields = [new HeaderField("grpc-status", String(codeToNumber(error.code)))];
  if (error.message !== "") fields.push(new HeaderField("grpc-message", percent(error.message)));
  if (error.details.length > 0) {
    fields.push(new HeaderField("grpc-status-details-bin", statusDetails(error)));
  }
  for (const [name, value] of errorLines(error)) fields.push(new HeaderField(name, value));
  return fields;
}

/** Percent-encodes what gRPC requires, and spaces at the ends, which a header cannot have. */
function percent(text: string): string {
  return wellFormedText(text).replace(/^ | $|[^\x20-\x24\x26-\x7e]+/g, (part) =>
    encodeURIComponent(part),
  );
}

/** Encodes `google.rpc.Status`, in base64 without padding. */
function statusDetails(error: MicroError): string {
  const parts: Buffer[] = [Buffer.of(0x08, codeToNumber(error.code))];
  parts.push(...field(0x12, Buffer.from(error.message)));
  for (const { typeName, value } of error.details) {
    const any = Buffer.concat([
      ...field(0x0a, Buffer.from(`type.googleapis.com/${typeName}`)),
      ...field(0x12, Buffer.from(value)),
    ]);
    parts.push(...field(0x1a, any));
  }
  return Buffer.concat(parts).toString("base64").replace(/=+$/, "");
}

function field(tag: number, bytes: Buffer): Buffer[] {
  const prefix = [tag];
  let length = bytes.length;
  for (; length >= 0x80; length >>>= 7) prefix.push((length & 0x7f) | 0x80);
  prefix.push(length);
  return [Buffer.from(prefix), bytes];
}
