import { MicroError } from "../../error.ts";
import type { RunSpec } from "../runtime.ts";

const longestName = 128;

/** @throws MicroError `invalid_argument` for what no process can be started from. */
export function checkSpec({ name, command, environment = {}, graceMs = 0 }: RunSpec): void {
  const wrong = (what: string) =>
    new MicroError("invalid_argument", `the service ${JSON.stringify(name)} ${what}`, {
      outcome: "not-executed",
    });
  if (typeof name !== "string" || name === "" || name.length > longestName || /\p{Cc}/u.test(name))
    throw wrong(`needs a name of 1 to ${longestName} characters, none a control character`);
  if (!Array.isArray(command) || (command[0] ?? "") === "") throw wrong("names no program to run");
  for (const word of command) {
    if (typeof word !== "string" || word.includes("\0"))
      throw wrong(
        `has a word in its command that no program can be given: ${JSON.stringify(word)}`,
      );
  }
  for (const [variable, value] of Object.entries(environment)) {
    if (variable === "" || /[=\0]/.test(variable) || value?.includes("\0") === true)
      throw wrong(`has a variable that no process can have: ${JSON.stringify(variable)}`);
  }
  if (!Number.isFinite(graceMs) || graceMs < 0)
    throw wrong(`needs a grace of 0 or more milliseconds, and not ${graceMs}`);
}
