import type { ArgumentSpec, Command, CommandEntry, OptionSpecs } from "./command.ts";
import { joined, lines, type RichText, styled, type Text, text } from "./text.ts";

/** The list of commands. */
export function programHelp(entries: readonly CommandEntry[]): RichText {
  const width = Math.max(...entries.map(({ name }) => name.length));
  const groups = [...new Set(entries.map(({ group }) => group))];
  const parts = groups.map((group) => {
    const rows = entries
      .filter((entry) => entry.group === group)
      .map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
    return joined([styled("bold", group), ...rows]);
  });
  const all = [
    "micro: create, run, inspect and check services of Micro-ES",
    text`${styled("bold", "Usage")}\n  micro <command> [--json] [--context name] …`,
    ...parts,
    "`micro <command> --help` explains a command.",
  ];
  return joined(all, "\n\n");
}

/** The help of one command. */
export function commandHelp(
  entry: CommandEntry,
  command: Command,
  globalOptions: OptionSpecs,
): RichText {
  const heading = (name: string) => styled("bold", name);
  const words = command.arguments.map(argumentWord);
  const usage = ["micro", entry.name, ...words, "[options]"].join(" ");
  const parts: Text[] = [
    `micro ${entry.name}: ${entry.summary}`,
    text`${heading("Usage")}\n  ${usage}`,
    ...(command.details === undefined ? [] : [lines(command.details)]),
  ];
  if (command.arguments.length > 0) {
    parts.push(
      joined([heading("Arguments"), columns(command.arguments.map((it) => [it.name, it.help]))]),
    );
  }
  const options = Object.entries({ ...command.options, ...globalOptions });
  const rows = options.map(([name, spec]): [string, string] => {
    const short = spec.short === undefined ? "    " : `-${spec.short}, `;
    const value = spec.type === "string" ? ` <${spec.value ?? "value"}>` : "";
    return [
      `${short}--${name}${value}`,
      spec.help + (spec.multiple === true ? "; repeatable" : ""),
    ];
  });
  parts.push(joined([heading("Options"), columns(rows)]));
  if (command.examples.length > 0) {
    const examples = command.examples.map(([line, does]) => text`  ${line}\n      ${does}`);
    parts.push(joined([heading("Examples"), ...examples]));
  }
  return joined(parts, "\n\n");
}

function argumentWord({ name, optional, rest }: ArgumentSpec): string {
  const word = rest === true ? `${name}…` : name;
  return optional === true ? `[${word}]` : `<${word}>`;
}

function columns(rows: readonly (readonly [string, string])[]): RichText {
  const width = Math.max(...rows.map(([left]) => left.length));
  return joined(rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`));
}
