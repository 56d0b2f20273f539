import { type MethodDeclaration, Node, type SourceFile, SyntaxKind } from "ts-morph";
import type { HandlerInterface } from "./handler-interface.ts";
import type { Implementation } from "./implementation.ts";

/**
 * A method that the schema no longer has, or has with other types. It is reported and never
 * changed.
 */
export interface Difference {
  readonly method: string;
  readonly line: number;
  readonly problem: string;
}

/** The types of the context that handlers receive. */
const contexts: readonly string[] = ["CallContext", "AuthenticatedContext", "EventContext"];

/** The differences between an implementation's methods and the interface. */
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
      // A method of the class's own looks the same, except for the context parameter of handlers.
      const isHandler = types.some((type) => type !== undefined && contexts.includes(type));
      if (isHandler && isOpenToCallers(member) && !isUsed(source, method)) {
        found.push({
          method,
          line,
          problem: `${handler.name} no longer has it; the schema removed or renamed it`,
        });
      }
      continue;
    }
    for (const [at, type] of types.entries()) {
      const { type: now } = wanted.parameters[at] ?? {};
      if (type === undefined || now === undefined) continue;
      const given = withImportedNames(type, source);
      // A handler may take the context of any call.
      if (given === "CallContext" && now === "AuthenticatedContext") continue;
      if (given !== undefined && squeeze(given) !== squeeze(now)) {
        found.push({ method, line, problem: `takes ${type}, and now gets ${now}` });
      }
    }
    if (member.isGenerator() && !wanted.streams) {
      found.push({
        method,
        line,
        problem: "returns a stream, and must now return one message",
      });
    }
    const returned = member.getReturnTypeNode()?.getText();
    const single = member.isAsync() && !member.isGenerator();
    if (wanted.streams && (single || returned?.startsWith("Promise<") === true)) {
      found.push({
        method,
        line,
        problem: "returns one message, and must now return a stream",
      });
    }
  }
  return found;
}

function isOpenToCallers(member: MethodDeclaration): boolean {
  return (
    !member.getName().startsWith("#") &&
    !member.isStatic() &&
    !member.hasModifier("private") &&
    !member.hasModifier("protected")
  );
}

/**
 * Whether the file itself calls or passes on a method of this name; only the server calls methods
 * of handlers.
 */
function isUsed(source: SourceFile, method: string): boolean {
  return source
    .getDescendantsOfKind(SyntaxKind.PropertyAccessExpression)
    .some((access) => access.getName() === method);
}

/**
 * A type as the generated interface would write it, with the names that its imports export.
 * Undefined for a type that the file defines, which may accept the schema's type.
 */
function withImportedNames(type: string, source: SourceFile): string | undefined {
  const plain = /^(?:(AsyncIterable)\s*<\s*)?(?:(\w+)\s*\.\s*)?([\w$]+)\s*>?$/.exec(type.trim());
  if (plain === null) return undefined;
  const [, stream, namespace, local = ""] = plain;
  const own = source.getTypeAlias(local) ?? source.getInterface(local) ?? source.getClass(local);
  if (own !== undefined || /^(any|unknown|object|never)$/.test(local)) return undefined;
  const imported = source
    .getImportDeclarations()
    .flatMap((declaration) => declaration.getNamedImports())
    .find((it) => (it.getAliasNode()?.getText() ?? it.getName()) === local);
  const name = namespace === undefined ? (imported?.getName() ?? local) : local;
  return stream === undefined ? name : `${stream}<${name}>`;
}

function squeeze(type: string): string {
  return type.replaceAll(/\s+/g, "");
}
