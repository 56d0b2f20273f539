import { type Phrase, phrases } from "./phrases.ts";
import { type Text, textsOf } from "./texts.ts";

/** The widest line of a comment or a page, in columns. */
export const columns = 100;

/** A line that reads badly or is too wide. */
export interface Finding {
  readonly path: string;
  /** Counted from 1. */
  readonly line: number;
  readonly message: string;
}

/** Checks the words and the width of a file's comments, strings and prose. */
export function check(path: string, source: string): readonly Finding[] {
  const texts = textsOf(path, source);
  const findings = [...texts.flatMap(badPhrases), ...tooWide(path, source, texts)];
  return findings
    .map((finding) => ({ path, ...finding }))
    .sort((one, other) => one.line - other.line);
}

type Found = Omit<Finding, "path">;

function badPhrases(text: Text): readonly Found[] {
  // Sentences go on over the ends of lines.
  const starts: number[] = [];
  let all = "";
  for (const { text: line } of text.lines) {
    starts.push(all.length);
    all += `${text.kind === "string" ? line : withoutCode(line)} `;
  }
  all = all.trimEnd();
  return phrases.flatMap(({ pattern, suggestion }) =>
    [...all.matchAll(anyCase(pattern))].map(({ 0: words, index }) => {
      const at = starts.findLastIndex((start) => start <= index);
      const line = text.lines[at]?.number ?? 0;
      return { line, message: `"${words.trim()}" reads as translated: use ${suggestion}` };
    }),
  );
}

const flagged = new Map<RegExp, RegExp>();

function anyCase(pattern: Phrase["pattern"]): RegExp {
  const known = flagged.get(pattern) ?? new RegExp(pattern.source, "gi");
  flagged.set(pattern, known);
  return known;
}

/** Inline code as a word of the same length, so that columns and sentences stay. */
function withoutCode(line: string): string {
  return line.replace(/`[^`]*`/g, (code) => "X".repeat(code.length));
}

function tooWide(path: string, source: string, texts: readonly Text[]): readonly Found[] {
  const lines = source.split("\n");
  const prose = texts.filter(({ kind }) => kind === "comment" || kind === "prose");
  const numbers = new Set(prose.flatMap((text) => text.lines.map(({ number }) => number)));
  return [...numbers].flatMap((number) => {
    const line = lines[number - 1] ?? "";
    if (line.length <= columns || !canBreak(line)) return [];
    if (/\.md(?:\.hbs)?$/.test(path) && /^\s*[|#]/.test(line)) return [];
    return [{ line: number, message: `is ${line.length} columns wide: wrap at ${columns}` }];
  });
}

/** Whether a line can be wrapped; one with only a long address, for example, cannot. */
function canBreak(line: string): boolean {
  // A suppression is one line.
  if (line.includes("biome-ignore")) return false;
  const [marks = ""] = /^\s*(?:\/\/+|\/\*+|\*|[-*>]|\d+\.)?\s*/.exec(line) ?? [];
  const fits = line.slice(marks.length, columns + 1);
  return fits.trimStart().includes(" ");
}
