import { HeaderField } from "../http2/hpack/header-field.ts";
import { HeaderList } from "../http2/hpack/header-list.ts";

/** Converts Node's raw headers, which alternate names and values. */
export function headerListOf(raw: readonly string[]): HeaderList {
  const fields: HeaderField[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    fields.push(new HeaderField(raw[at]!.toLowerCase(), raw[at + 1]!));
  }
  return new HeaderList(fields);
}
