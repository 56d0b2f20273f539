import type { ArgumentSpec, Command, OptionSpecs } from "./command.ts";
import type { CommandEntry } from "./commands.ts";
import type { Output } from "./output.ts";

/** The list of commands. */
export function programHelp(entries: readonly CommandEntry[], output: Output): string {
  const width = Math.max(...entries.map(({ name }) => name.length));
  const groups = [...new Set(entries.map(({ group }) => group))];
  const parts = groups.map((group) => {
    const lines = entries
      .filter((entry) => entry.group === group)
      .map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
    return [output.style("bold", group), ...lines].join("\n");
  });
  return [
    "micro: start, run, look at and guard services of Micro-ES",
    `${output.style("bold", "Usage")}\n  micro <command> [--json] [--context name] …`,
    ...parts,
    "`micro <command> --help` says more.",
  ].join("\n\n");
}

/** What one command does and takes. */
export function commandHelp(
  entry: CommandEntry,
  command: Command,
  globalOptions: OptionSpecs,
  output: Output,
): string {
  const heading = (text: string) => output.style("bold", text);
  const words = command.arguments.map(argumentWord);
  const usage = ["micro", entry.name, ...words, "[options]"].join(" ");
  const parts = [
    `micro ${entry.name}: ${entry.summary}`,
    `${heading("Usage")}\n  ${usage}`,
    ...(command.details === undefined ? [] : [command.details]),
  ];
  if (command.arguments.length > 0) {
    parts.push(
      [heading("Arguments"), columns(command.arguments.map((it) => [it.name, it.help]))].join("\n"),
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
  parts.push([heading("Options"), columns(rows)].join("\n"));
  if (command.examples.length > 0) {
    const examples = command.examples.map(([line, does]) => `  ${line}\n      ${does}`);
    parts.push([heading("Examples"), ...examples].join("\n"));
  }
  return parts.join("\n\n");
}

function argumentWord({ name, optional, rest }: ArgumentSpec): string {
  const word = rest === true ? `${name}…` : name;
  return optional === true ? `[${word}]` : `<${word}>`;
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
