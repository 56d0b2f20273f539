import { type ClassDeclaration, type ClassExpression, Node, ts } from "ts-morph";
import type { HandlerInterface, HandlerMethod } from "./handler-interface.ts";
import type { Implementation } from "./implementation.ts";
import { type Insertion, importInsertions, neededImports } from "./imports.ts";
import { stubOf } from "./stub.ts";
import { type Style, styleOf } from "./style.ts";

/**
 * The text of the implementation's file with its missing methods; every other byte is unchanged.
 */
export function addMethods(
  implementation: Implementation,
  handler: HandlerInterface,
  methods: readonly HandlerMethod[],
): string {
  const { source, body } = implementation;
  const text = source.getFullText();
  const style = styleOf(text);
  const isObject = Node.isObjectLiteralExpression(body);
  const types = isObject ? [] : methods.flatMap((method) => method.types);
  const needed = neededImports(handler, types, source.getFilePath(), source);
  return insert(text, [
    ...importInsertions(source, needed, style),
    ...memberInsertions(implementation, methods, text, style),
  ]);
}

/** Only the stubs, to paste; JavaScript gets them without types. */
export function stubsOf(methods: readonly HandlerMethod[], style: Style, typed: boolean): string {
  return methods.map((method) => stubOf(method, style, typed)).join(style.newline.repeat(2));
}

function memberInsertions(
  { body }: Implementation,
  methods: readonly HandlerMethod[],
  text: string,
  style: Style,
): Insertion[] {
  const isObject = Node.isObjectLiteralExpression(body);
  const members = isObject ? body.getProperties() : body.getMembers();
  const last = members.at(-1);
  const outer = indentAt(text, body.getStart());
  const onLineOfItsOwn = last !== undefined && /\n[ \t]*$/.test(text.slice(0, last.getStart()));
  const indent = onLineOfItsOwn ? indentAt(text, last.getStart()) : outer + style.indent;
  const stubs = methods.map((method) =>
    stubOf(method, style, !isObject)
      .split(style.newline)
      .map((line) => (line === "" ? line : indent + line))
      .join(style.newline),
  );
  const joined =
    stubs.join(`${isObject ? "," : ""}${style.newline.repeat(2)}`) + (isObject ? "," : "");
  const { newline } = style;
  if (last === undefined) {
    const open = text.indexOf("{", isObject ? body.getStart() : headEnd(body, text));
    const rest = text.slice(open + 1, body.getEnd() - 1);
    const close = rest.includes("\n") ? "" : `${newline}${outer}`;
    return [{ at: open + 1, text: `${newline}${joined}${close}` }];
  }
  const insertions: Insertion[] = [];
  let at = last.getEnd();
  if (isObject) {
    const comma = /^\s*,/.exec(text.slice(at));
    if (comma === null) insertions.push({ at, text: "," });
    else at += comma[0].length;
  }
  // A comment after the last member stays with it, and one on separate lines before the brace stays
  // with the brace.
  at = ts.getTrailingCommentRanges(text, at)?.at(-1)?.end ?? at;
  const after = text.slice(at, body.getEnd() - 1);
  const close = after.includes("\n") ? "" : `${newline}${outer}`;
  insertions.push({ at, text: `${newline}${newline}${joined}${close}` });
  return insertions;
}

/** The position after which the braces of a class can begin: after its heritage clauses. */
function headEnd(body: ClassDeclaration | ClassExpression, text: string): number {
  const clauses = body.getHeritageClauses();
  return clauses.at(-1)?.getEnd() ?? text.indexOf("class", body.getStart());
}

function indentAt(text: string, position: number): string {
  const start = text.lastIndexOf("\n", position - 1) + 1;
  return /^[ \t]*/.exec(text.slice(start, position))?.[0] ?? "";
}

/** Of two insertions at one position, the first one comes first. */
function insert(text: string, insertions: readonly Insertion[]): string {
  const parts: string[] = [];
  let done = 0;
  for (const { at, text: added } of [...insertions].sort((a, b) => a.at - b.at)) {
    parts.push(text.slice(done, at), added);
    done = at;
  }
  return parts.join("") + text.slice(done);
}
