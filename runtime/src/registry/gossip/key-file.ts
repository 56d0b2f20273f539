import { readFileSync } from "node:fs";
import { MicroError } from "../../base/error.ts";

const maxFileChars = 4_096;

/**
 * The keys in a file, one a line; empty lines and those that begin with `#` are skipped.
 * @throws MicroError `invalid_argument` when it cannot be read or has none.
 */
export function readKeyFile(path: string): readonly string[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw invalid(`cannot read the key file: ${(cause as Error).message}`, cause);
  }
  if (text.length > maxFileChars) throw invalid(`the key file ${path} is over 4 KiB`);
  const keys = text.split("\n").flatMap((line) => {
    const key = line.trim();
    return key === "" || key.startsWith("#") ? [] : [key];
  });
  if (keys.length === 0) throw invalid(`the key file ${path} has no key`);
  return keys;
}

function invalid(message: string, cause?: unknown): MicroError {
  return new MicroError("invalid_argument", `gossip: ${message}`, {
    outcome: "not-executed",
    cause,
  });
}
