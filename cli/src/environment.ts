import { readContexts } from "./contexts.ts";
import { UsageError } from "./errors.ts";
import { nearest } from "./nearest.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/** Variables of one source. */
export interface EnvironmentLayer {
  /** `environment` for the shell's own, else the named environment's. */
  readonly source: string;
  readonly values: Variables;
}

/** The variables of a command. */
export interface ChosenEnvironment {
  readonly variables: Variables;
  /** Their sources, later ones override earlier ones. */
  readonly layers: readonly EnvironmentLayer[];
}

/**
 * Selects the variables of a command. A named environment that was requested overrides the shell's
 * variables; the default one does not, so that `MICRO_REGISTRY=… micro services` works as written.
 *
 * @throws UsageError for an unknown name.
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

/** The message for a named environment that does not exist. */
export function unknownContext(name: string, names: readonly string[]): string {
  const meant = nearest(name, names);
  const hint = meant === undefined ? "`micro context ls` lists them" : `did you mean ${meant}?`;
  return `there is no environment named ${name}; ${hint}`;
}
