import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { UsageError } from "./command.ts";

/** The named environments of a user: each a set of `MICRO_*` variables. */
export interface Contexts {
  /** The one that commands use when none is named; absent when it is the shell's own. */
  readonly current?: string;
  readonly contexts: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** The file they are kept in, `$XDG_CONFIG_HOME/micro/contexts.json`, readable by its owner alone. */
export function contextsFile(environment: Variables): string {
  const config = environment.XDG_CONFIG_HOME || join(environment.HOME || homedir(), ".config");
  return join(config, "micro", "contexts.json");
}

/** @throws UsageError for a file that is not what {@link writeContexts} wrote. */
export async function readContexts(environment: Variables): Promise<Contexts> {
  const file = contextsFile(environment);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (reason) {
    if ((reason as NodeJS.ErrnoException).code === "ENOENT") return { contexts: {} };
    throw reason;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (reason) {
    throw new UsageError(`${file} is no JSON: ${(reason as Error).message}; mend or remove it`);
  }
  if (!isContexts(value)) {
    throw new UsageError(`${file} does not hold named environments; mend or remove it`);
  }
  return value;
}

/** Replaces the file as a whole, so that nobody reads half of it. */
export async function writeContexts(environment: Variables, contexts: Contexts): Promise<void> {
  const file = contextsFile(environment);
  await mkdir(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, `${JSON.stringify(contexts, null, 2)}\n`, { mode: 0o600 });
  await rename(temporary, file);
}

function isContexts(value: unknown): value is Contexts {
  if (typeof value !== "object" || value === null || !("contexts" in value)) return false;
  const { contexts } = value;
  return (
    typeof contexts === "object" &&
    contexts !== null &&
    (!("current" in value) || typeof value.current === "string") &&
    Object.values(contexts).every(
      (it) =>
        typeof it === "object" &&
        it !== null &&
        Object.values(it).every((text) => typeof text === "string"),
    )
  );
}
