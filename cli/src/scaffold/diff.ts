import { relative } from "node:path";
import { createTwoFilesPatch } from "diff";
import type { FileChange } from "../file-change.ts";

/** The change as a unified diff, which `patch` can apply. */
export function diffOf({ path, before, after }: FileChange, folder: string): string {
  const name = relative(folder, path);
  const from = before === undefined ? "/dev/null" : `a/${name}`;
  return createTwoFilesPatch(from, `b/${name}`, before ?? "", after, undefined, undefined, {
    context: 3,
  }).replace(/^=+\n/, "");
}
