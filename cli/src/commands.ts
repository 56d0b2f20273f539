import type { Command } from "./command.ts";

/** A command as the list knows it; what it needs is loaded when it runs. */
export interface CommandEntry {
  /** One word or two, such as `registry watch`. */
  readonly name: string;
  readonly group: string;
  readonly summary: string;
  load(): Promise<{ readonly command: Command }>;
}

/** Every command, in the order of the help. */
export const commands: readonly CommandEntry[] = [
  {
    name: "new",
    group: "Start",
    summary: "a project that installs, generates, tests and runs",
    load: () => import("./commands/new.ts"),
  },
  {
    name: "run",
    group: "Start",
    summary: "all services of a workspace, started anew when their code or schema changes",
    load: () => import("./commands/run.ts"),
  },
  {
    name: "generate",
    group: "Start",
    summary: "code from the schema",
    load: () => import("./commands/generate.ts"),
  },
  {
    name: "scaffold",
    group: "Start",
    summary: "handlers for the services of the schema, or the methods that they lack",
    load: () => import("./commands/scaffold.ts"),
  },
  {
    name: "templates eject",
    group: "Start",
    summary: "copies built-in templates, to be changed",
    load: () => import("./commands/templates-eject.ts"),
  },
  {
    name: "check",
    group: "Guard the schema",
    summary: "generated code, handlers and compatibility, for CI",
    load: () => import("./commands/check.ts"),
  },
  {
    name: "lint",
    group: "Guard the schema",
    summary: "style of the schema, and wrong use of its options",
    load: () => import("./commands/lint.ts"),
  },
  {
    name: "breaking",
    group: "Guard the schema",
    summary: "whether the schema breaks those who use it, in git or running",
    load: () => import("./commands/breaking.ts"),
  },
  {
    name: "services",
    group: "Look and call",
    summary: "the services that run, and their nodes",
    load: () => import("./commands/services.ts"),
  },
  {
    name: "registry watch",
    group: "Look and call",
    summary: "nodes that come and go",
    load: () => import("./commands/registry-watch.ts"),
  },
  {
    name: "describe",
    group: "Look and call",
    summary: "the methods and messages of a service",
    load: () => import("./commands/describe.ts"),
  },
  {
    name: "call",
    group: "Look and call",
    summary: "a method of a running service, of all four kinds",
    load: () => import("./commands/call.ts"),
  },
  {
    name: "health",
    group: "Look and call",
    summary: "whether the nodes of a service serve",
    load: () => import("./commands/health.ts"),
  },
  {
    name: "stats",
    group: "Look and call",
    summary: "calls, errors and times of each method, and what each process takes",
    load: () => import("./commands/stats.ts"),
  },
  {
    name: "logs",
    group: "Look and call",
    summary: "what the processes of a service log",
    load: () => import("./commands/logs.ts"),
  },
  {
    name: "pub",
    group: "Events and state",
    summary: "publishes an event",
    load: () => import("./commands/pub.ts"),
  },
  {
    name: "sub",
    group: "Events and state",
    summary: "shows a topic's events as they come",
    load: () => import("./commands/sub.ts"),
  },
  {
    name: "dlq ls",
    group: "Events and state",
    summary: "topics that have dead letters, or the dead letters of one",
    load: () => import("./commands/dlq-ls.ts"),
  },
  {
    name: "dlq show",
    group: "Events and state",
    summary: "a dead letter, with why its event was given up",
    load: () => import("./commands/dlq-show.ts"),
  },
  {
    name: "dlq replay",
    group: "Events and state",
    summary: "sends dead letters to the topic that they were on",
    load: () => import("./commands/dlq-replay.ts"),
  },
  {
    name: "dlq drop",
    group: "Events and state",
    summary: "throws dead letters away",
    load: () => import("./commands/dlq-drop.ts"),
  },
  {
    name: "store ls",
    group: "Events and state",
    summary: "the records of the store",
    load: () => import("./commands/store-ls.ts"),
  },
  {
    name: "store get",
    group: "Events and state",
    summary: "the value of a key",
    load: () => import("./commands/store-get.ts"),
  },
  {
    name: "store set",
    group: "Events and state",
    summary: "writes a value",
    load: () => import("./commands/store-set.ts"),
  },
  {
    name: "store rm",
    group: "Events and state",
    summary: "deletes a record",
    load: () => import("./commands/store-rm.ts"),
  },
  {
    name: "config get",
    group: "Events and state",
    summary: "the value that is in force at a key",
    load: () => import("./commands/config-get.ts"),
  },
  {
    name: "config dump",
    group: "Events and state",
    summary: "all that is configured, and where each value comes from",
    load: () => import("./commands/config-dump.ts"),
  },
  {
    name: "lock ls",
    group: "Events and state",
    summary: "the locks that are held, by whom and until when",
    load: () => import("./commands/lock-ls.ts"),
  },
  {
    name: "leader ls",
    group: "Events and state",
    summary: "who leads, and since when",
    load: () => import("./commands/leader-ls.ts"),
  },
  {
    name: "context ls",
    group: "This program",
    summary: "the named environments",
    load: () => import("./commands/context-ls.ts"),
  },
  {
    name: "context set",
    group: "This program",
    summary: "names an environment, or changes it",
    load: () => import("./commands/context-set.ts"),
  },
  {
    name: "context use",
    group: "This program",
    summary: "the environment that commands use from now on",
    load: () => import("./commands/context-use.ts"),
  },
  {
    name: "context rm",
    group: "This program",
    summary: "forgets a named environment",
    load: () => import("./commands/context-rm.ts"),
  },
  {
    name: "doctor",
    group: "This program",
    summary: "whether this machine has what Micro-ES needs",
    load: () => import("./commands/doctor.ts"),
  },
  {
    name: "completion",
    group: "This program",
    summary: "a script that completes commands in bash, zsh or fish",
    load: () => import("./commands/completion.ts"),
  },
];

/** The command that the first words name, and how many words that took. */
export function findCommand(
  words: readonly string[],
): { readonly entry: CommandEntry; readonly words: number } | undefined {
  for (const count of [2, 1]) {
    const name = words.slice(0, count).join(" ");
    const entry = commands.find((it) => it.name === name);
    if (entry !== undefined && words.length >= count) return { entry, words: count };
  }
  return undefined;
}
