import { MicroError } from "../base/error.ts";
import type { Node } from "./registry.ts";

/**
 * The error of `register` in a registry that is only read.
 * @param why completes the sentence, such as `its nodes are a fixed list`.
 */
export function readOnlyError(registry: string, node: Node, why: string): MicroError {
  return new MicroError(
    "unimplemented",
    `cannot register ${node.id}: the ${registry} registry is only read, because ${why}`,
    { outcome: "not-executed" },
  );
}
