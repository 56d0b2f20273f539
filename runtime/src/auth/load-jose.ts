import { MicroError } from "../base/error.ts";

/**
 * Loads the library that verifies and makes signatures; it is an optional peer dependency.
 *
 * @throws MicroError `failed_precondition` with the command that installs it.
 */
export async function loadJose(): Promise<typeof import("jose")> {
  try {
    return await import("jose");
  } catch (cause) {
    throw new MicroError(
      "failed_precondition",
      "tokens need the package jose, which could not be loaded: npm install jose@6",
      { cause, outcome: "not-executed" },
    );
  }
}
