import { parseArgs } from "node:util";
import type { Command, CommandEntry, OptionSpecs } from "./command.ts";
import { commands, findCommand } from "./commands.ts";
import { chooseEnvironment } from "./environment.ts";
import { UsageError } from "./errors.ts";
import { describeFailure } from "./failure.ts";
import { commandHelp, programHelp } from "./help.ts";
import { Interrupts } from "./interrupts.ts";
import { nearest } from "./nearest.ts";
import { Output } from "./output.ts";

/** Options of every command, before or after its name. */
export const globalOptions = {
  json: { type: "boolean", help: "print results and errors as JSON, one value per line" },
  context: { type: "string", value: "name", help: "the named environment to use" },
  help: { type: "boolean", short: "h", help: "show help for a command" },
  version: { type: "boolean", help: "show the version" },
} as const satisfies OptionSpecs;

/**
 * Runs one command line, and resolves with its exit code: 0 on success, 2 if the command line is
 * wrong, 64 plus the gRPC code if a call or a backend failed, 130 after Ctrl-C, 1 otherwise.
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
  // A reader that closes the pipe early, such as `head`, is not an error.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
  // Node would print an uncaught error unescaped on the terminal.
  const uncaught = (reason: unknown) => {
    output.failure(describeFailure(reason));
    process.exit(1);
  };
  process.on("uncaughtException", uncaught);
  // A command must end by its own result, not because nothing keeps Node running.
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
    process.off("uncaughtException", uncaught);
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
    output.line(commandHelp(entry, command, globalOptions));
    return 0;
  }
  const { values, positionals } = parse(entry, command, given);
  const { variables, layers } = await chooseEnvironment(
    process.env,
    values.context as string | undefined,
  );
  const { signal, urgent } = interrupts;
  interrupts.drains = command.drains === true;
  try {
    const code = await command.run({
      options: values as never,
      arguments: positionals,
      output,
      commands,
      environment: variables,
      layers,
      signal,
      urgent,
    });
    return code ?? (signal.aborted ? 130 : 0);
  } catch (reason) {
    if (interrupts.heard || !("token-file" in command.options)) throw reason;
    const { callerAdvice } = await import("./auth/caller-advice.ts");
    const advice = await callerAdvice(reason, values, variables);
    if (advice === undefined) throw reason;
    const failure = { ...describeFailure(reason), advice };
    output.failure(failure);
    return failure.exitCode;
  }
}

function withoutCommand(
  rest: readonly string[],
  leading: readonly string[],
  output: Output,
): number {
  const [first] = rest;
  const asked = leading.includes("--help") || leading.includes("-h") || first === "help";
  const group = commands.filter(({ name }) => name.startsWith(`${first} `));
  const second = rest[1]?.startsWith("-") === false ? rest[1] : undefined;
  if (group.length > 0 && second === undefined) {
    output.line(programHelp(group));
    return 0;
  }
  if (first !== undefined && !asked) throw unknownCommand(first, second, group);
  output.line(programHelp(commands));
  return asked ? 0 : 2;
}

/**
 * Suggests the command that was probably meant: two-word commands first if two words were typed.
 */
function unknownCommand(
  first: string,
  second: string | undefined,
  group: readonly CommandEntry[],
): UsageError {
  const names = (group.length > 0 ? group : commands).map(({ name }) => name);
  const both = `${first} ${second}`;
  const ofTwo = names.filter((name) => name.includes(" "));
  const meant =
    (second === undefined ? undefined : nearestPair(first, second, ofTwo)) ??
    nearest(first, [...names, ...ofTwo.map((name) => name.split(" ")[0] ?? name)]);
  const typed = group.length > 0 ? both : first;
  if (meant !== undefined && meant !== first) {
    return new UsageError(`there is no command ${typed}; did you mean \`micro ${meant}\`?`);
  }
  return new UsageError(
    group.length > 0
      ? `there is no command ${typed}; there are: ${names.join(", ")}`
      : `there is no command ${typed}; \`micro --help\` lists them all`,
  );
}

/** The two-word command whose words are both similar to the typed ones. */
function nearestPair(first: string, second: string, names: readonly string[]): string | undefined {
  const word = nearest(
    first,
    names.map((name) => name.split(" ")[0] ?? name),
  );
  const seconds = names.filter((name) => name.split(" ")[0] === word);
  const found = nearest(
    second,
    seconds.map((name) => name.split(" ")[1] ?? name),
  );
  return found === undefined ? undefined : `${word} ${found}`;
}

/** Splits the global options before the command's name from the rest. */
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

/** The position after which words cannot be options. */
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
    throw new UsageError(`"${surplus}" is one argument too many\n${seeHelp(entry)}`);
  }
  return { values: parsed.values, positionals };
}

/** Node's message for a wrong option, shortened, with the nearest correct one. */
function explain(reason: unknown, names: readonly string[]): string {
  const text = reason instanceof Error ? reason.message : String(reason);
  const unknown = /^Unknown option '(--?)([^']+)'/.exec(text);
  if (unknown === null) return text.split(". ")[0] ?? text;
  const meant = nearest(unknown[2] ?? "", names);
  return `there is no option ${unknown[1]}${unknown[2]}${meant === undefined ? "" : `; did you mean --${meant}?`}`;
}

function seeHelp(entry: CommandEntry): string {
  return `\`micro ${entry.name} --help\` lists the options`;
}

async function version(): Promise<string> {
  const { readFile } = await import("node:fs/promises");
  const text = await readFile(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
