/**
 * A name that derives from the schema. It is resolved when its file is complete, so that it differs
 * from every word that the generator itself writes there.
 */
export interface Name {
  readonly kind: "declared" | "private" | "imported" | "local";
  /** The preferred name, which may be taken. */
  readonly name: string;
  /** The indexes of the pieces of text that are this name. */
  readonly places: number[];
}

/** Text that cannot clash with a name: comments, and names of properties. */
export interface Verbatim {
  readonly kind: "verbatim";
  readonly text: string;
}

/**
 * A piece of code for an output file, with explicit line breaks. Words in a string are the
 * generator's own, and reserved in the whole file.
 */
export type Code = string | Name | Verbatim | readonly Code[];

export function verbatim(text: string): Verbatim {
  return { kind: "verbatim", text };
}

/** The line width of formatters. */
export const lineWidth = 100;

// Layout uses the preferred names. Import aliases, which may be longer, are resolved when the file
// is complete.

/** The columns before and after code on its line. */
export interface Room {
  readonly before: number;
  readonly after: number;
}

export function fits(code: Code, room: Room): boolean {
  return columnsLeft(code, lineWidth - room.before - room.after) >= 0;
}

/** The columns that remain after code; negative as soon as it does not fit. */
function columnsLeft(code: Code, columns: number): number {
  if (!isList(code)) return columns - textOf(code).length;
  let left = columns;
  for (const part of code) {
    left = columnsLeft(part, left);
    if (left < 0) break;
  }
  return left;
}

/** Whether code fits up to its first line break. */
export function firstLineFits(code: Code, room: Room): boolean {
  let left = lineWidth - room.before - room.after;
  const continues = (part: Code): boolean => {
    if (isList(part)) return part.every(continues);
    const end = textOf(part).indexOf("\n");
    left -= end < 0 ? textOf(part).length : end;
    return end < 0 && left >= 0;
  };
  continues(code);
  return left >= 0;
}

/** The column after code that begins at `column`. */
export function columnAfter(code: Code, column: number): number {
  if (isList(code)) return code.reduce<number>((at, part) => columnAfter(part, at), column);
  const text = textOf(code);
  const start = text.lastIndexOf("\n");
  return start < 0 ? column + text.length : text.length - start - 1;
}

function textOf(code: string | Name | Verbatim): string {
  if (typeof code === "string") return code;
  return code.kind === "verbatim" ? code.text : code.name;
}

/** `Array.isArray` does not narrow the type of read-only arrays. */
export function isList(code: Code): code is readonly Code[] {
  return Array.isArray(code);
}

/** How to write a list. Spaces inside the brackets, as in `{ a }`, apply to a single line. */
export interface ListStyle {
  readonly open: string;
  readonly close: string;
  /** The indentation of the line that the list begins on, in columns. */
  readonly indent: number;
  readonly trailingComma: boolean;
}

/** A list on one line if it fits, otherwise with one item per line. */
export function list(items: readonly Code[], style: ListStyle, room: Room): Code {
  const flat = [style.open, join(items, ", "), style.close];
  return items.length === 0 || fits(flat, room) ? flat : expanded(items, style);
}

/** A list with one item per line. */
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

/** A member of an object, whose value may take several lines. */
export function labelled(
  label: string,
  indent: number,
  value: (line: { readonly indent: number; readonly before: number }) => Code,
): Code {
  return [label, value({ indent, before: indent + label.length })];
}

export function join(items: readonly Code[], separator: string): Code {
  return items.map((item, index) => (index === 0 ? item : [separator, item]));
}

/** A string literal on a single line. */
export function literal(text: string): string {
  return JSON.stringify(text).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}

/** A property of an object, as an expression. */
export function propertyOf(object: string, name: string): string {
  return isIdentifier(name) ? `${object}.${name}` : `${object}[${literal(name)}]`;
}

/** The name of a property in its declaration. */
export function propertyKey(name: string): Verbatim {
  return verbatim(isIdentifier(name) ? name : literal(name));
}

/** The name of a method in an interface. An unquoted `new` would declare a construct signature. */
export function methodKey(name: string): Verbatim {
  return name === "new" ? verbatim('"new"') : propertyKey(name);
}

function isIdentifier(name: string): boolean {
  return /^[A-Za-z_$][\w$]*$/.test(name);
}
