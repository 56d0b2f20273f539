import { readFileSync } from "node:fs";
import { MicroError } from "./error.ts";

/**
 * The contents of files, by the names of the parameters that have their paths.
 * @throws MicroError `invalid_argument` that names the parameter of a file that cannot be read.
 */
export function readPemFiles<Name extends string>(
  files: Readonly<Partial<Record<Name, string>>>,
): Partial<Record<Name, string>> {
  const contents = Object.entries<string | undefined>(files).map(([name, path = ""]) => {
    try {
      return [name, readFileSync(path, "utf8")];
    } catch (cause) {
      throw new MicroError(
        "invalid_argument",
        `cannot read the file of ${name}: ${(cause as Error).message}`,
        { outcome: "not-executed", cause },
      );
    }
  });
  return Object.fromEntries(contents);
}
