import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";

/** The folder of the repository. */
export const root: string = join(import.meta.dirname, "../..");

/** A program that is chosen by its name, as in `npm run fuzz -- codec`. */
export interface Task {
  /** What it does, as an imperative. */
  readonly summary: string;
  /** Its file in the repository. */
  readonly program: string;
  /** Arguments that it always gets. */
  readonly args?: readonly string[];
  /** Its options with what they do: `"--part"` for a flag, `"--seed N"` for one with a value. */
  readonly options?: Readonly<Record<string, string>>;
  /** What words that are not options mean; without it there are none. */
  readonly operands?: string;
  /** Flags of Node. By default imports of the packages reach their sources. */
  readonly nodeFlags?: readonly string[];
  /** The packages that are built before it starts. */
  readonly builds?: readonly string[];
}

/** A script of package.json that runs one of several programs. */
export interface Command {
  readonly name: string;
  readonly tasks: Readonly<Record<string, Task>>;
  /** The task that runs where none is named; without it one must be. */
  readonly usual?: string;
}

/** Arguments that a command does not have. The message lists those that it has. */
export class UsageError extends Error {}

const fromSources = ["--conditions=@micro-es/source"];

/** @throws UsageError for a task, an option or an operand that does not exist. */
export function parseCommand(
  command: Command,
  words: readonly string[],
): { readonly task: Task; readonly args: readonly string[] } {
  const { name, tasks, usual } = command;
  const [first] = words;
  const named = first !== undefined && Object.hasOwn(tasks, first);
  const chosen = named ? first : first === undefined || first.startsWith("-") ? usual : undefined;
  if (chosen === undefined) {
    const problem =
      first === undefined || first.startsWith("-")
        ? `npm run ${name} needs a name`
        : `npm run ${name} does not have ${first}`;
    throw new UsageError(`${problem}\n${usage(command)}`);
  }
  const task = tasks[chosen] as Task;
  try {
    const given = parseOptions(task, named ? words.slice(1) : words);
    return { task, args: [...(task.args ?? []), ...given] };
  } catch (error) {
    const problem = `npm run ${name} -- ${chosen}: ${(error as Error).message}`;
    throw new UsageError(`${problem}\n${taskUsage(chosen, task).join("\n")}`);
  }
}

/**
 * Separates options from their values.
 *
 * @throws Error for words that the task does not have
 */
function parseOptions(task: Task, words: readonly string[]): string[] {
  const options = Object.fromEntries(
    Object.keys(task.options ?? {}).map((option) => {
      const [flag = "", value] = option.split(" ");
      const type = value === undefined ? ("boolean" as const) : ("string" as const);
      return [flag.replace(/^--/, ""), { type, multiple: true }];
    }),
  );
  const { tokens } = parseArgs({
    args: [...words],
    options,
    allowPositionals: task.operands !== undefined,
    tokens: true,
  });
  return tokens.flatMap((token) => {
    if (token.kind === "positional") return [token.value];
    if (token.kind !== "option") return [];
    return token.value === undefined ? [token.rawName] : [token.rawName, token.value];
  });
}

function usage({ name, tasks, usual }: Command): string {
  const lines = Object.entries(tasks).flatMap(([task, it]) => taskUsage(task, it));
  const hint = usual === undefined ? "" : ` (without a name: ${usual})`;
  return [`npm run ${name} -- NAME${hint}`, ...lines].join("\n");
}

function taskUsage(name: string, { summary, options = {}, operands }: Task): string[] {
  const line = (left: string, right: string) => `${left.padEnd(24)}${right}`;
  const lines = Object.entries(options).map(([option, help]) => line(`    ${option}`, help));
  if (operands !== undefined) lines.push(line("    ...", operands));
  return [line(`  ${name}`, summary), ...lines];
}

/** Runs the task that this process was started for, and ends as it ends. */
export async function runCommand(command: Command): Promise<void> {
  const words = process.argv.slice(2);
  if (words.includes("--help")) {
    console.log(usage(command));
    return;
  }
  try {
    const { task, args } = parseCommand(command, words);
    process.exitCode = await runTask(task, args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
}

async function runTask(task: Task, args: readonly string[]): Promise<number> {
  if (task.builds !== undefined) {
    const { status } = spawnSync("tsc", ["-b", ...task.builds], { cwd: root, stdio: "inherit" });
    if (status !== 0) return status ?? 1;
  }
  const flags = ["--import", "tsx", ...(task.nodeFlags ?? fromSources)];
  const child = spawn(process.execPath, [...flags, join(root, task.program), ...args], {
    cwd: root,
    stdio: "inherit",
  });
  // A terminal sends Ctrl-C to both processes; the task decides how it ends.
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", forward);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (status) => resolve(status ?? 1));
  });
}
