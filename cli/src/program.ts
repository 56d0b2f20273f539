import { parseArgs } from "node:util";
import { type Command, type OptionSpecs, UsageError } from "./command.ts";
import { type CommandEntry, commands, findCommand } from "./commands.ts";
import { chooseEnvironment } from "./environment.ts";
import { describeFailure } from "./failure.ts";
import { commandHelp, programHelp } from "./help.ts";
import { Interrupts } from "./interrupts.ts";
import { nearest } from "./nearest.ts";
import { Output } from "./output.ts";

/** What every command takes, before or after its name. */
export const globalOptions = {
  json: { type: "boolean", help: "results as JSON, one value a line; errors too" },
  context: { type: "string", value: "name", help: "the named environment to use" },
  help: { type: "boolean", short: "h", help: "what a command does and takes" },
  version: { type: "boolean", help: "the version of this program" },
} as const satisfies OptionSpecs;

/**
 * Runs one command line, and resolves with its exit code: 0 when all went well, 2 when the command line is wrong,
 * 64 and the gRPC code when a call or a backend failed, 130 after Ctrl-C, 1 otherwise.
 */
export async function runProgram(words: readonly string[]): Promise<number> {
  const output = new Output({
    stdout: process.stdout,
    stderr: process.stderr,
    json: words.includes("--json"),
    environment: process.env,
  });
  const interrupts = new Interrupts(() => {
    output.endProgress();
    process.exit(130);
  });
  process.on("SIGINT", interrupts.hear);
  process.on("SIGTERM", interrupts.hear);
  // A reader that has seen enough, as `head`, is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
  // A command ends when it says so, and not because nothing that it waits for keeps Node running.
  const running = setInterval(() => {}, 60_000);
  try {
    return await dispatch(words, output, interrupts);
  } catch (reason) {
    if (interrupts.heard) return 130;
    const failure = describeFailure(reason);
    output.failure(failure);
    return failure.exitCode;
  } finally {
    clearInterval(running);
    output.endProgress();
    process.off("SIGINT", interrupts.hear);
    process.off("SIGTERM", interrupts.hear);
  }
}

async function dispatch(
  words: readonly string[],
  output: Output,
  interrupts: Interrupts,
): Promise<number> {
  const { leading, rest } = splitLeading(words);
  if (leading.includes("--version")) {
    output.line(await version());
    return 0;
  }
  const found = findCommand(rest);
  if (found === undefined) return withoutCommand(rest, leading, output);
  const { entry } = found;
  const { command } = await entry.load();
  const given = [...leading, ...rest.slice(found.words)];
  if (given.slice(0, afterOptions(given)).some((word) => word === "--help" || word === "-h")) {
    output.line(commandHelp(entry, command, globalOptions, output));
    return 0;
  }
  const { values, positionals } = parse(entry, command, given);
  const { variables, layers } = await chooseEnvironment(
    process.env,
    values.context as string | undefined,
  );
  const { signal, urgent } = interrupts;
  interrupts.drains = command.drains === true;
  const code = await command.run({
    options: values as never,
    arguments: positionals,
    output,
    environment: variables,
    layers,
    signal,
    urgent,
  });
  return code ?? (signal.aborted ? 130 : 0);
}

function withoutCommand(
  rest: readonly string[],
  leading: readonly string[],
  output: Output,
): number {
  const [first] = rest;
  const asked = leading.includes("--help") || leading.includes("-h") || first === "help";
  const group = commands.filter(({ name }) => name.startsWith(`${first} `));
  if (group.length > 0) {
    if (rest[1] !== undefined && !rest[1].startsWith("-")) {
      throw new UsageError(
        `there is no command ${first} ${rest[1]}; there are: ${group.map(({ name }) => name).join(", ")}`,
      );
    }
    output.line(programHelp(group, output));
    return 0;
  }
  if (first !== undefined && !asked) {
    const names = commands.map(({ name }) => name);
    const meant = nearest(first, [...names, ...names.map((name) => name.split(" ")[0] ?? name)]);
    const hint =
      meant === undefined ? "`micro --help` lists them all" : `did you mean \`micro ${meant}\`?`;
    throw new UsageError(`there is no command ${first}; ${hint}`);
  }
  output.line(programHelp(commands, output));
  return asked ? 0 : 2;
}

/** Splits the global options that stand before the command's name from the rest. */
function splitLeading(words: readonly string[]): { leading: string[]; rest: string[] } {
  const leading: string[] = [];
  let at = 0;
  for (; at < words.length && words[at]?.startsWith("-") && words[at] !== "--"; at++) {
    const word = words[at] ?? "";
    leading.push(word);
    if (word === "--context" && at + 1 < words.length) leading.push(words[++at] ?? "");
  }
  return { leading, rest: words.slice(at) };
}

/** Where the words end that can be options. */
function afterOptions(words: readonly string[]): number {
  const at = words.indexOf("--");
  return at < 0 ? words.length : at;
}

function parse(entry: CommandEntry, command: Command, words: readonly string[]) {
  const options = { ...command.options, ...globalOptions };
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args: [...words], options, allowPositionals: true, strict: true });
  } catch (reason) {
    throw new UsageError(`${explain(reason, Object.keys(options))}\n${seeHelp(entry)}`);
  }
  const { positionals } = parsed;
  const specs = command.arguments;
  const missing = specs.filter((it) => it.optional !== true)[positionals.length];
  if (missing !== undefined) {
    throw new UsageError(`<${missing.name}> is missing: ${missing.help}\n${seeHelp(entry)}`);
  }
  const surplus = specs.at(-1)?.rest === true ? undefined : positionals[specs.length];
  if (surplus !== undefined) {
    throw new UsageError(`"${surplus}" is one word too many\n${seeHelp(entry)}`);
  }
  return { values: parsed.values, positionals };
}

/** Node's own words for a wrong option, shorter and with the nearest right one. */
function explain(reason: unknown, names: readonly string[]): string {
  const text = reason instanceof Error ? reason.message : String(reason);
  const unknown = /^Unknown option '(--?)([^']+)'/.exec(text);
  if (unknown === null) return text.split(". ")[0] ?? text;
  const meant = nearest(unknown[2] ?? "", names);
  return `there is no option ${unknown[1]}${unknown[2]}${meant === undefined ? "" : `; did you mean --${meant}?`}`;
}

function seeHelp(entry: CommandEntry): string {
  return `\`micro ${entry.name} --help\` says what it takes`;
}

async function version(): Promise<string> {
  const { readFile } = await import("node:fs/promises");
  const text = await readFile(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
