import { mkdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { UsageError } from "./errors.ts";
import { unreadable } from "./files.ts";

/** The named environments of a user, each a set of `MICRO_*` variables. */
export interface Contexts {
  /** The default environment of commands; absent for the shell's own. */
  readonly current?: string;
  readonly contexts: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** Their file, `$XDG_CONFIG_HOME/micro/contexts.json`, readable only by its owner. */
export function contextsFile(environment: Variables): string {
  const config = environment.XDG_CONFIG_HOME || join(environment.HOME || homedir(), ".config");
  return join(config, "micro", "contexts.json");
}

/** @throws UsageError for a file that {@link writeContexts} did not write. */
export async function readContexts(environment: Variables): Promise<Contexts> {
  const file = contextsFile(environment);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (reason) {
    if ((reason as NodeJS.ErrnoException).code === "ENOENT")
      return { contexts: Object.create(null) };
    throw unreadable(file, reason);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (reason) {
    throw new UsageError(
      `${file} is not valid JSON: ${(reason as Error).message}; fix or delete it`,
    );
  }
  if (!isContexts(value)) {
    throw new UsageError(`${file} does not hold named environments; fix or delete it`);
  }
  // Without a prototype, names such as `constructor` exist only if they were defined.
  return { ...value, contexts: Object.assign(Object.create(null), value.contexts) };
}

/** Replaces the file atomically, so that it is never read incomplete. */
export async function writeContexts(environment: Variables, contexts: Contexts): Promise<void> {
  const file = contextsFile(environment);
  // Loaded only for writing.
  const { replaceFile } = await import("@micro-es/runtime/files");
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await replaceFile(file, `${JSON.stringify(contexts, null, 2)}\n`);
}

function isContexts(value: unknown): value is Contexts {
  if (typeof value !== "object" || value === null || !("contexts" in value)) return false;
  const { contexts } = value;
  return (
    typeof contexts === "object" &&
    contexts !== null &&
    !Array.isArray(contexts) &&
    (!("current" in value) || typeof value.current === "string") &&
    Object.values(contexts).every(
      (it) =>
        typeof it === "object" &&
        it !== null &&
        !Array.isArray(it) &&
        Object.values(it).every((text) => typeof text === "string"),
    )
  );
}
