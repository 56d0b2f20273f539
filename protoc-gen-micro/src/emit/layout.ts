/** A name in a file: of something that it declares, a global, or what another module exports and this one imports. */
export interface Name {
  readonly name: string;
  /** The module that it comes from. */
  readonly from: string;
  readonly typeOnly: boolean;
  /** Which pieces of the file's text are this name. */
  readonly places: number[];
}

/** A piece of code on its way into a file. Line breaks in it are explicit. */
export type Code = string | Name | readonly Code[];

/** Where formatters break lines. */
export const lineWidth = 100;

// Below, names count as they are, aliases of imports aside: those are decided when the file is complete.

/** What stands before and after code on its line, in columns. */
export interface Room {
  readonly before: number;
  readonly after: number;
}

export function fits(code: Code, room: Room): boolean {
  return columnsLeft(code, lineWidth - room.before - room.after) >= 0;
}

/** What is left of some columns behind code; less than 0 as soon as that is certain. */
function columnsLeft(code: Code, columns: number): number {
  if (!isList(code)) return columns - widthOf(code);
  let left = columns;
  for (const part of code) {
    left = columnsLeft(part, left);
    if (left < 0) break;
  }
  return left;
}

/** Whether there is room for code up to its first line break. */
export function firstLineFits(code: Code, room: Room): boolean {
  let left = lineWidth - room.before - room.after;
  const goesOn = (part: Code): boolean => {
    if (isList(part)) return part.every(goesOn);
    const end = typeof part === "string" ? part.indexOf("\n") : -1;
    left -= end < 0 ? widthOf(part) : end;
    return end < 0 && left >= 0;
  };
  goesOn(code);
  return left >= 0;
}

/** The column behind code that begins in a column. */
export function columnBehind(code: Code, column: number): number {
  if (isList(code)) return code.reduce<number>((at, part) => columnBehind(part, at), column);
  const start = typeof code === "string" ? code.lastIndexOf("\n") : -1;
  return start < 0 ? column + widthOf(code) : widthOf(code) - start - 1;
}

function widthOf(code: string | Name): number {
  return typeof code === "string" ? code.length : code.name.length;
}

/** Tells lists from names, which `Array.isArray` does not for those that are read-only. */
export function isList(code: Code): code is readonly Code[] {
  return Array.isArray(code);
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
