import type { ImportSymbol, Printable } from "@bufbuild/protoplugin";

/** A piece of code on its way into a file. Line breaks in it are explicit. */
export type Code = string | Exclude<Printable, Printable[]> | readonly Code[];

/** Where formatters break lines. */
export const lineWidth = 100;

/** A piece of code as text, aliases of imports aside: those are decided when the file is complete. */
export function textOf(code: Code): string {
  if (typeof code === "string") return code;
  if (Array.isArray(code)) return (code as readonly Code[]).map(textOf).join("");
  return isSymbol(code) ? code.name : String(code);
}

function isSymbol(code: Code): code is ImportSymbol {
  return typeof code === "object" && "kind" in code && code.kind === "es_symbol";
}

/** What stands before and after code on its line, in columns. */
export interface Room {
  readonly before: number;
  readonly after: number;
}

export function fits(code: Code, room: Room): boolean {
  return room.before + textOf(code).length + room.after <= lineWidth;
}

/** How a list is written. Blanks inside the brackets, as in `{ a }`, are for one line only. */
export interface ListStyle {
  readonly open: string;
  readonly close: string;
  /** Columns by which the line that the list is on is indented. */
  readonly indent: number;
  readonly trailingComma: boolean;
}

/** A list on one line where there is room for it, and else with each item on a line of its own. */
export function list(items: readonly Code[], style: ListStyle, room: Room): Code {
  const flat = [style.open, join(items, ", "), style.close];
  return items.length === 0 || fits(flat, room) ? flat : expanded(items, style);
}

/** A list with each item on a line of its own. */
export function expanded(items: readonly Code[], style: ListStyle): Code {
  const inner = `\n${" ".repeat(style.indent + 2)}`;
  return [
    style.open.trimEnd(),
    ...items.map((item, index) => [
      inner,
      item,
      style.trailingComma || index < items.length - 1 ? "," : "",
    ]),
    `\n${" ".repeat(style.indent)}${style.close.trimStart()}`,
  ];
}

export function join(items: readonly Code[], separator: string): Code {
  return items.map((item, index) => (index === 0 ? item : [separator, item]));
}

/** A string as a literal, on one line whatever is in it. */
export function literal(text: string): string {
  return JSON.stringify(text).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}
