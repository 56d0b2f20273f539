import { UsageError } from "./command.ts";
import { readContexts } from "./contexts.ts";
import { nearest } from "./nearest.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * The variables that a command works with. A named environment that was asked for goes over the shell's own; the one
 * that is merely in use goes under them, so that `MICRO_REGISTRY=… micro services` does what it says.
 *
 * @throws UsageError for a name that is not known.
 */
export async function chooseEnvironment(
  shell: Variables,
  asked: string | undefined,
): Promise<Variables> {
  const { current, contexts } = await readContexts(shell);
  const name = asked ?? (shell.MICRO_CONTEXT || current);
  if (name === undefined) return shell;
  const chosen = contexts[name];
  if (chosen === undefined) throw new UsageError(unknownContext(name, Object.keys(contexts)));
  return asked === undefined ? { ...chosen, ...shell } : { ...shell, ...chosen };
}

/** What to say of a named environment that is not there. */
export function unknownContext(name: string, names: readonly string[]): string {
  const meant = nearest(name, names);
  const hint = meant === undefined ? "`micro context ls` lists them" : `did you mean ${meant}?`;
  return `there is no environment named ${name}; ${hint}`;
}
