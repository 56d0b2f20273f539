import {
  type ClassDeclaration,
  type ClassExpression,
  Node,
  type ObjectLiteralExpression,
  type SourceFile,
} from "ts-morph";
import type { HandlerInterface } from "./handler-interface.ts";
import { moduleFrom, sameModule } from "./imports.ts";

type Body = ClassDeclaration | ClassExpression | ObjectLiteralExpression;

/** A class or object that implements a handler interface. */
export interface Implementation {
  readonly source: SourceFile;
  readonly body: Body;
  /** The names that it has. */
  readonly has: ReadonlySet<string>;
  /** Why it may have more than can be seen; undefined when it has not. */
  readonly unsure: string | undefined;
}

/** What in a file implements the interface: a class, a typed object, or one that is registered right away. */
export function implementationsIn(
  source: SourceFile,
  handler: HandlerInterface,
): readonly Implementation[] {
  const names = localNames(source, handler, handler.name);
  const registers = localNames(source, handler, `register${handler.name}`);
  const found = new Set<Body>();
  source.forEachDescendant((node) => {
    if (Node.isClassDeclaration(node) || Node.isClassExpression(node)) {
      const implemented = node.getImplements().map((clause) => clause.getExpression().getText());
      if (implemented.some((name) => names.has(name))) found.add(node);
    } else if (Node.isObjectLiteralExpression(node) && isTyped(node, names, registers)) {
      found.add(node);
    }
  });
  return [...found].map((body) => ({ source, body, ...membersOf(body) }));
}

/** What a file calls an export of the generated file. */
function localNames(
  source: SourceFile,
  handler: HandlerInterface,
  exported: string,
): ReadonlySet<string> {
  const names = new Set<string>();
  const path = source.getFilePath();
  const module = moduleFrom(handler, undefined, path);
  for (const declaration of source.getImportDeclarations()) {
    if (!sameModule(declaration.getModuleSpecifierValue(), module, path)) continue;
    for (const specifier of declaration.getNamedImports()) {
      if (specifier.getName() === exported) {
        names.add(specifier.getAliasNode()?.getText() ?? exported);
      }
    }
  }
  return names;
}

function isTyped(
  object: ObjectLiteralExpression,
  names: ReadonlySet<string>,
  registers: ReadonlySet<string>,
): boolean {
  const parent = object.getParent();
  if (Node.isSatisfiesExpression(parent)) return names.has(parent.getTypeNode()?.getText() ?? "");
  if (Node.isVariableDeclaration(parent)) return names.has(parent.getTypeNode()?.getText() ?? "");
  return (
    Node.isCallExpression(parent) &&
    registers.has(parent.getExpression().getText()) &&
    parent.getArguments()[1] === object
  );
}

function membersOf(body: Body): Pick<Implementation, "has" | "unsure"> {
  const has = new Set<string>();
  let unsure: string | undefined;
  if (!Node.isObjectLiteralExpression(body) && body.getExtends() !== undefined) {
    unsure = `it extends ${body.getExtends()?.getExpression().getText()}, which may have them`;
  }
  const members = Node.isObjectLiteralExpression(body) ? body.getProperties() : body.getMembers();
  for (const member of members) {
    if (Node.isSpreadAssignment(member)) {
      unsure ??= `it spreads ${member.getExpression().getText()}, which may have them`;
    } else if (Node.hasName(member)) {
      if (member.getName().startsWith("["))
        unsure ??= `it has a computed name, ${member.getName()}`;
      has.add(member.getName().replace(/^["']|["']$/g, ""));
    }
  }
  return { has, unsure };
}
