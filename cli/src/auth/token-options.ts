import type { OptionSpecs } from "../command.ts";
import { UsageError } from "../errors.ts";
import { readInput } from "../files.ts";

/** Options of commands that present a token. */
export const tokenOptions = {
  "token-file": {
    type: "string",
    value: "path",
    help: "a file with the access token to present; default MICRO_TOKEN",
  },
} as const satisfies OptionSpecs;

/** Values of {@link tokenOptions}. */
export interface TokenOptions {
  readonly "token-file"?: string;
}

/**
 * The access token that a command presents: that of the file, else of `MICRO_TOKEN`.
 *
 * @throws UsageError if the file cannot be read or is empty.
 */
export async function readToken(
  options: TokenOptions,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  const path = options["token-file"];
  if (path === undefined) return environment.MICRO_TOKEN?.trim() || undefined;
  const token = (await readInput(path)).toString("utf8").trim();
  if (token === "") throw new UsageError(`${path} has no token`);
  return token;
}
