import type { CommandEntry } from "./command.ts";

/** All commands, in the order of the help. */
export const commands: readonly CommandEntry[] = [
  {
    name: "new",
    group: "Start",
    summary: "Create a project that installs, generates, tests and runs",
    load: () => import("./commands/new.ts"),
  },
  {
    name: "run",
    group: "Start",
    summary: "Run all services of a workspace; restart them when their code or schema changes",
    load: () => import("./commands/run.ts"),
  },
  {
    name: "generate",
    group: "Start",
    summary: "Generate code from the schema",
    load: () => import("./commands/generate.ts"),
  },
  {
    name: "scaffold",
    group: "Start",
    summary: "Write handlers for the services of the schema, or add missing methods",
    load: () => import("./commands/scaffold.ts"),
  },
  {
    name: "templates eject",
    group: "Start",
    summary: "Copy built-in templates, to change them",
    load: () => import("./commands/templates-eject.ts"),
  },
  {
    name: "check",
    group: "Guard the schema",
    summary: "Check generated code, handlers and compatibility in CI",
    load: () => import("./commands/check.ts"),
  },
  {
    name: "lint",
    group: "Guard the schema",
    summary: "Check the schema's style and the use of its options",
    load: () => import("./commands/lint.ts"),
  },
  {
    name: "breaking",
    group: "Guard the schema",
    summary: "Compare the schema with an older or a running one",
    load: () => import("./commands/breaking.ts"),
  },
  {
    name: "services",
    group: "Look and call",
    summary: "List running services and their nodes",
    load: () => import("./commands/services.ts"),
  },
  {
    name: "registry watch",
    group: "Look and call",
    summary: "Watch nodes come and go",
    load: () => import("./commands/registry-watch.ts"),
  },
  {
    name: "describe",
    group: "Look and call",
    summary: "Show the methods and messages of a service",
    load: () => import("./commands/describe.ts"),
  },
  {
    name: "call",
    group: "Look and call",
    summary: "Call a method of a running service, streaming or not",
    load: () => import("./commands/call.ts"),
  },
  {
    name: "health",
    group: "Look and call",
    summary: "Check whether the nodes of a service are serving",
    load: () => import("./commands/health.ts"),
  },
  {
    name: "stats",
    group: "Look and call",
    summary: "Show calls, errors and latencies by method, and the resources of each process",
    load: () => import("./commands/stats.ts"),
  },
  {
    name: "logs",
    group: "Look and call",
    summary: "Show the logs of a service's processes",
    load: () => import("./commands/logs.ts"),
  },
  {
    name: "pub",
    group: "Events and state",
    summary: "Publish an event",
    load: () => import("./commands/pub.ts"),
  },
  {
    name: "sub",
    group: "Events and state",
    summary: "Show the events of a topic as they arrive",
    load: () => import("./commands/sub.ts"),
  },
  {
    name: "dlq ls",
    group: "Events and state",
    summary: "List topics that have dead letters, or the dead letters of one topic",
    load: () => import("./commands/dlq-ls.ts"),
  },
  {
    name: "dlq show",
    group: "Events and state",
    summary: "Show a dead letter and why its event failed",
    load: () => import("./commands/dlq-show.ts"),
  },
  {
    name: "dlq replay",
    group: "Events and state",
    summary: "Send dead letters back to their topic",
    load: () => import("./commands/dlq-replay.ts"),
  },
  {
    name: "dlq drop",
    group: "Events and state",
    summary: "Delete dead letters",
    load: () => import("./commands/dlq-drop.ts"),
  },
  {
    name: "store ls",
    group: "Events and state",
    summary: "List the records of the store",
    load: () => import("./commands/store-ls.ts"),
  },
  {
    name: "store get",
    group: "Events and state",
    summary: "Show the value of a key",
    load: () => import("./commands/store-get.ts"),
  },
  {
    name: "store set",
    group: "Events and state",
    summary: "Write a value",
    load: () => import("./commands/store-set.ts"),
  },
  {
    name: "store rm",
    group: "Events and state",
    summary: "Delete a record",
    load: () => import("./commands/store-rm.ts"),
  },
  {
    name: "config get",
    group: "Events and state",
    summary: "Show the value in force at a key",
    load: () => import("./commands/config-get.ts"),
  },
  {
    name: "config dump",
    group: "Events and state",
    summary: "Show the whole configuration and the source of each value",
    load: () => import("./commands/config-dump.ts"),
  },
  {
    name: "lock ls",
    group: "Events and state",
    summary: "List held locks, holders and expiry",
    load: () => import("./commands/lock-ls.ts"),
  },
  {
    name: "leader ls",
    group: "Events and state",
    summary: "List current leaders, and since when they lead",
    load: () => import("./commands/leader-ls.ts"),
  },
  {
    name: "auth dev",
    group: "Control access",
    summary: "Issue a token for programs on this machine",
    load: () => import("./commands/auth-dev.ts"),
  },
  {
    name: "auth account",
    group: "Control access",
    summary: "Create an account and print its secret",
    load: () => import("./commands/auth-account.ts"),
  },
  {
    name: "auth token",
    group: "Control access",
    summary: "Issue a token for an account",
    load: () => import("./commands/auth-token.ts"),
  },
  {
    name: "auth grant",
    group: "Control access",
    summary: "Grant or deny access by a rule, or give scopes to an account",
    load: () => import("./commands/auth-grant.ts"),
  },
  {
    name: "auth revoke",
    group: "Control access",
    summary: "Revoke an account, a token, a rule or a key",
    load: () => import("./commands/auth-revoke.ts"),
  },
  {
    name: "auth list",
    group: "Control access",
    summary: "List accounts, rules and keys",
    load: () => import("./commands/auth-list.ts"),
  },
  {
    name: "auth whoami",
    group: "Control access",
    summary: "Show the account of a token",
    load: () => import("./commands/auth-whoami.ts"),
  },
  {
    name: "auth rotate",
    group: "Control access",
    summary: "Publish the next key of the issuer",
    load: () => import("./commands/auth-rotate.ts"),
  },
  {
    name: "context ls",
    group: "This program",
    summary: "List named environments",
    load: () => import("./commands/context-ls.ts"),
  },
  {
    name: "context set",
    group: "This program",
    summary: "Create or change a named environment",
    load: () => import("./commands/context-set.ts"),
  },
  {
    name: "context use",
    group: "This program",
    summary: "Choose the environment that commands use from now on",
    load: () => import("./commands/context-use.ts"),
  },
  {
    name: "context rm",
    group: "This program",
    summary: "Delete a named environment",
    load: () => import("./commands/context-rm.ts"),
  },
  {
    name: "doctor",
    group: "This program",
    summary: "Check this machine's setup",
    load: () => import("./commands/doctor.ts"),
  },
  {
    name: "completion",
    group: "This program",
    summary: "Print a completion script for bash, zsh or fish",
    load: () => import("./commands/completion.ts"),
  },
];

/** The command named by the first words, and how many words name it. */
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
