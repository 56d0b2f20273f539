import { ts } from "ts-morph";

/** Text that people read: a comment, a string, or a paragraph of a page. */
export interface Text {
  readonly kind: "comment" | "string" | "prose" | "code";
  /** Its lines, without what marks them as a comment. */
  readonly lines: readonly TextLine[];
}

/** A line of a {@link Text}. */
export interface TextLine {
  /** Counted from 1 in its file. */
  readonly number: number;
  readonly text: string;
}

/**
 * The texts of a file, by the ending of its name; none for an ending that is not checked. A
 * Handlebars template is read as the file that it renders.
 */
export function textsOf(template: string, source: string): readonly Text[] {
  const path = template.replace(/\.hbs$/, "");
  if (/\.[cm]?tsx?$/.test(path)) return typescriptTexts(source);
  if (path.endsWith(".proto")) return protoTexts(source);
  if (path.endsWith(".md")) return markdownTexts(source);
  return [];
}

/** Comments and strings; comments on lines that follow each other are one text. */
function typescriptTexts(source: string): readonly Text[] {
  const file = ts.createSourceFile("source.ts", source, ts.ScriptTarget.Latest, false);
  const texts: Text[] = [];
  const lineAt = (position: number) => file.getLineAndCharacterOfPosition(position).line + 1;
  const seen = new Set<number>();
  const comments = (position: number) => {
    const ranges = ts.getLeadingCommentRanges(source, position) ?? [];
    for (const { pos, end } of [
      ...ranges,
      ...(ts.getTrailingCommentRanges(source, position) ?? []),
    ]) {
      if (seen.has(pos)) continue;
      seen.add(pos);
      texts.push({ kind: "comment", lines: linesOf(source.slice(pos, end), lineAt(pos)) });
    }
  };
  const visit = (node: ts.Node): void => {
    comments(node.pos);
    comments(node.end);
    if (ts.isStringLiteralLike(node) || ts.isTemplateLiteralToken(node)) {
      const inside = source.slice(node.getStart(file) + 1, node.end - 1);
      texts.push({ kind: "string", lines: linesOf(inside, lineAt(node.getStart(file))) });
    }
    for (const child of node.getChildren(file)) visit(child);
  };
  visit(file);
  return joined(texts.sort((one, other) => firstLine(one) - firstLine(other)));
}

const firstLine = (text: Text) => text.lines[0]?.number ?? 0;

function joined(texts: readonly Text[]): readonly Text[] {
  const result: Text[] = [];
  for (const text of texts) {
    const last = result.at(-1);
    const follows = last?.lines.at(-1)?.number === firstLine(text) - 1;
    if (last?.kind === "comment" && text.kind === "comment" && follows) {
      result[result.length - 1] = { kind: "comment", lines: [...last.lines, ...text.lines] };
    } else {
      result.push(text);
    }
  }
  return result;
}

function linesOf(text: string, first: number): readonly TextLine[] {
  return text.split("\n").map((line, index) => ({
    number: first + index,
    text: line
      .replace(/^\s*(?:\/\/+|\/\*+|\*(?!\/))\s?/, "")
      .replace(/\s*\*+\/\s*$/, "")
      .trim(),
  }));
}

function protoTexts(source: string): readonly Text[] {
  const texts: Text[] = [];
  for (const [index, line] of source.split("\n").entries()) {
    const comment = /^(?:[^"']|"[^"]*"|'[^']*')*?(\/\/.*)$/.exec(line)?.[1];
    if (comment === undefined) continue;
    texts.push({ kind: "comment", lines: linesOf(comment, index + 1) });
  }
  return joined(texts);
}

/** Paragraphs without their inline code, and blocks of code line by line. */
function markdownTexts(source: string): readonly Text[] {
  const texts: Text[] = [];
  let paragraph: TextLine[] = [];
  let inCode = false;
  const flush = () => {
    if (paragraph.length > 0) texts.push({ kind: "prose", lines: paragraph });
    paragraph = [];
  };
  for (const [index, line] of source.split("\n").entries()) {
    const fence = /^\s*```/.test(line);
    if (fence || line.trim() === "" || inCode) flush();
    if (fence) inCode = !inCode;
    else if (inCode)
      texts.push({ kind: "code", lines: [{ number: index + 1, text: line.trim() }] });
    else if (line.trim() !== "") {
      // A heading, an item of a list and a row of a table begin a sentence.
      if (/^\s*(?:[-*|#>]|\d+\.)/.test(line)) flush();
      const text = line.replace(/^\s*(?:[-*#>]+|\d+\.)\s+/, "").trim();
      paragraph.push({ number: index + 1, text });
      if (/^\s*[|#]/.test(line)) flush();
    }
  }
  flush();
  return texts;
}
