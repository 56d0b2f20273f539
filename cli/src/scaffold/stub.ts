import type { HandlerMethod } from "./handler-interface.ts";
import type { Style } from "./style.ts";

/**
 * A method that throws `unimplemented`, without indentation.
 *
 * @param typed whether to write the types of parameters and result; in an object they come from the
 * context.
 */
export function stubOf(method: HandlerMethod, style: Style, typed: boolean): string {
  const { name, parameters, returns, streams } = method;
  const list = parameters.map((it) => (typed ? `${it.name}: ${it.type}` : it.name)).join(", ");
  const head = `${streams ? "async *" : "async "}${name}(${list})${typed ? `: ${returns}` : ""} {`;
  const { indent, quote, semicolon, newline } = style;
  const message = `${name} is not implemented yet`;
  const body = `${indent}throw new MicroError(${quote}unimplemented${quote}, ${quote}${message}${quote})${semicolon}`;
  return [...docComment(method.docs), head, body, "}"].join(newline);
}

function docComment(docs: string): string[] {
  if (docs === "") return [];
  const lines = docs.replaceAll("*/", "*\\/").split(/\r?\n/);
  if (lines.length === 1) return [`/** ${lines[0]} */`];
  return ["/**", ...lines.map((line) => ` * ${line}`.trimEnd()), " */"];
}
