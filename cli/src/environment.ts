import { UsageError } from "./command.ts";
import { readContexts } from "./contexts.ts";
import { nearest } from "./nearest.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/** Variables that one place gives. */
export interface EnvironmentLayer {
  /** `environment` for the shell's own, else the named environment's. */
  readonly source: string;
  readonly values: Variables;
}

/** The variables that a command works with. */
export interface ChosenEnvironment {
  readonly variables: Variables;
  /** Where they come from, a later one over those before. */
  readonly layers: readonly EnvironmentLayer[];
}

/**
 * Chooses the variables that a command works with. A named environment that was asked for goes over the shell's own;
 * the one that is merely in use goes under them, so that `MICRO_REGISTRY=… micro services` does what it says.
 *
 * @throws UsageError for a name that is not known.
 */
export async function chooseEnvironment(
  shell: Variables,
  asked: string | undefined,
): Promise<ChosenEnvironment> {
  const own: EnvironmentLayer = { source: "environment", values: shell };
  const { current, contexts } = await readContexts(shell);
  const name = asked ?? (shell.MICRO_CONTEXT || current);
  if (name === undefined) return { variables: shell, layers: [own] };
  const values = contexts[name];
  if (values === undefined) throw new UsageError(unknownContext(name, Object.keys(contexts)));
  const named: EnvironmentLayer = { source: `context ${name}`, values };
  const layers = asked === undefined ? [named, own] : [own, named];
  return { variables: Object.assign({}, ...layers.map((layer) => layer.values)), layers };
}

/** What to say of a named environment that is not there. */
export function unknownContext(name: string, names: readonly string[]): string {
  const meant = nearest(name, names);
  const hint = meant === undefined ? "`micro context ls` lists them" : `did you mean ${meant}?`;
  return `there is no environment named ${name}; ${hint}`;
}
