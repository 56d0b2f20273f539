import { stripVTControlCharacters } from "node:util";
import { escapeControls } from "@micro-es/runtime/terminal-text";

/**
 * Text is what commands show. A plain string is one line of any origin, and is escaped as a whole.
 * Line breaks and styles exist only as parts of a RichText, which is created here, so that foreign
 * text can never pass for text of this program; only Output turns either into characters for a
 * stream. A RichText in an ordinary template literal loses its styles and line breaks, and is still
 * escaped.
 */

const styles = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 };
export type Style = keyof typeof styles;

export type Text = string | RichText;

/** A part of a {@link RichText}, with or without styles. */
type Part = (styled: boolean) => string;

/** Text with line breaks and styles of this program. */
export class RichText {
  readonly #parts: readonly Part[];

  constructor(parts: readonly Part[]) {
    this.#parts = parts;
  }

  render(styled: boolean): string {
    return this.#parts.map((part) => part(styled)).join("");
  }

  toString(): string {
    return this.render(false);
  }
}

/** The written form of a text. */
export function renderText(text: Text, styled: boolean): string {
  return typeof text === "string" ? escapeControls(text) : text.render(styled);
}

/**
 * A template whose literal parts keep their line breaks, and whose values are escaped unless they
 * are rich.
 */
export function text(words: TemplateStringsArray, ...values: readonly (Text | number)[]): RichText {
  return new RichText(
    words.flatMap((word, index): Part[] => {
      const value = index === 0 ? undefined : values[index - 1];
      const own: Part = () => escapeControls(word, { lines: true });
      return value === undefined ? [own] : [partOf(value), own];
    }),
  );
}

export function styled(style: Style, content: Text): RichText {
  const part = partOf(content);
  return new RichText([
    (shown) => (shown ? `\u001b[${styles[style]}m${part(true)}\u001b[0m` : part(false)),
  ]);
}

/** Joins texts with a separator, by default a line break. */
export function joined(parts: readonly Text[], separator = "\n"): RichText {
  const between: Part = () => separator;
  return new RichText(
    parts.flatMap((part, index) => (index === 0 ? [partOf(part)] : [between, partOf(part)])),
  );
}

/**
 * Text whose line breaks and tabs are kept: of this program, of a tool that it ran, or of a value
 * shown unchanged.
 */
export function lines(content: string): RichText {
  return new RichText([() => escapeControls(content, { lines: true })]);
}

/**
 * A value as JSON, over several lines with `spread`. Control characters in it are escaped as JSON
 * escapes them.
 */
export function jsonText(value: unknown, spread = false): RichText {
  return lines(JSON.stringify(value, null, spread ? 2 : undefined) ?? "");
}

/**
 * A line of another program, which may use colours and tabs but no other terminal controls.
 * Sequences that move the cursor, as programs use them on their own terminals, are removed.
 */
export function colouredLine(line: string): RichText {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: keeps the escape sequences of colours
  const colours = /(\u001b\[[\d;:]*m)/;
  const parts = line.split(colours).map((part, index) => {
    if (index % 2 === 1) return part;
    return escapeControls(stripVTControlCharacters(part), { lines: true });
  });
  const plain = parts.filter((_, index) => index % 2 === 0).join("");
  const coloured = parts.length > 1 ? `${parts.join("")}\u001b[0m` : plain;
  return new RichText([(shown) => (shown ? coloured : plain)]);
}

function partOf(value: Text | number): Part {
  return (shown) => (typeof value === "number" ? String(value) : renderText(value, shown));
}
