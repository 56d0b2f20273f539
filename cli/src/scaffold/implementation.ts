import {
  type ClassDeclaration,
  type ClassExpression,
  Node,
  type ObjectLiteralExpression,
  type SourceFile,
} from "ts-morph";
import type { FoundImplementation } from "./find-implementations.ts";
import { newProject } from "./handler-interface.ts";

/** A class or object that implements a handler interface, in a file that can be changed. */
export interface Implementation {
  readonly source: SourceFile;
  readonly body: ClassDeclaration | ClassExpression | ObjectLiteralExpression;
}

/** The class or object at a position of a file; undefined if it is not defined there. */
export function implementationAt(
  { path, start, editable }: FoundImplementation,
  text: string,
): Implementation | undefined {
  if (!editable) return undefined;
  const source = newProject().createSourceFile(path, text);
  const body = source.forEachDescendant((node) => {
    if (node.getStart() !== start) return undefined;
    const fits =
      Node.isClassDeclaration(node) ||
      Node.isClassExpression(node) ||
      Node.isObjectLiteralExpression(node);
    return fits ? node : undefined;
  });
  return body === undefined ? undefined : { source, body };
}
