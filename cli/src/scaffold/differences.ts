import { Node } from "ts-morph";
import type { HandlerInterface } from "./handler-interface.ts";
import type { Implementation } from "./implementation.ts";

/** A method that the schema does not have any more, or has otherwise. Never touched, only told. */
export interface Difference {
  readonly method: string;
  readonly line: number;
  readonly problem: string;
}

/** How an implementation's methods differ from the interface. */
export function differences(
  { body, source }: Implementation,
  handler: HandlerInterface,
): readonly Difference[] {
  const found: Difference[] = [];
  const members = Node.isObjectLiteralExpression(body) ? body.getProperties() : body.getMembers();
  for (const member of members) {
    if (!Node.isMethodDeclaration(member)) continue;
    const method = member.getName();
    const { line } = source.getLineAndColumnAtPos(member.getStart());
    const wanted = handler.methods.find(({ name }) => name === method);
    const types = member.getParameters().map((it) => it.getTypeNode()?.getText());
    if (wanted === undefined) {
      // A method of the class's own looks the same but for the context that only handlers get.
      if (types.some((type) => type === "CallContext" || type === "EventContext")) {
        found.push({
          method,
          line,
          problem: `${handler.name} has it no more; the schema dropped or renamed it`,
        });
      }
      continue;
    }
    for (const [at, type] of types.entries()) {
      const { type: now } = wanted.parameters[at] ?? {};
      if (type !== undefined && now !== undefined && squeeze(type) !== squeeze(now)) {
        found.push({ method, line, problem: `takes ${type}, and now gets ${now}` });
      }
    }
    if (member.isGenerator() && !wanted.streams) {
      found.push({
        method,
        line,
        problem: "answers with a stream, and is now asked for one message",
      });
    }
    const returned = member.getReturnTypeNode()?.getText();
    const single = member.isAsync() && !member.isGenerator();
    if (wanted.streams && (single || returned?.startsWith("Promise<") === true)) {
      found.push({
        method,
        line,
        problem: "answers with one message, and is now asked for a stream",
      });
    }
  }
  return found;
}

function squeeze(type: string): string {
  return type.replaceAll(/\s+/g, "");
}
