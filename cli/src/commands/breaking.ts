import { resolve } from "node:path";
import { tokenOptions } from "../auth/token-options.ts";
import { openBackendParts } from "../backend-parts.ts";
import type { Consumer } from "../breaking/consumers.ts";
import type { Verdict } from "../breaking/live.ts";
import { defaultRules } from "../breaking/rules.ts";
import { type Command, defineCommand } from "../command.ts";
import { UsageError } from "../errors.ts";
import type { Output } from "../output.ts";
import { projectFolder } from "../project-folder.ts";
import { joined, styled, text } from "../text.ts";

/** Exit codes: a change breaks; no compared change breaks, but a schema could not be compared. */
const breaks = 3;
const unknown = 4;

export const command: Command = defineCommand({
  arguments: [{ name: "folder", optional: true, help: "the project; default this folder" }],
  options: {
    ...tokenOptions,
    live: { type: "boolean", help: "compare with the running fleet, and list what would break" },
    service: {
      type: "string",
      multiple: true,
      value: "name",
      help: "with --live: only running services of this name",
    },
    schema: {
      type: "string",
      value: "path",
      help: "with --live: the new schema, a folder, .proto or descriptor set; default the project's",
    },
    use: {
      type: "string",
      multiple: true,
      value: "rule",
      help: `with --live: rules or categories of buf; default ${defaultRules.join(", ")}`,
    },
    except: {
      type: "string",
      multiple: true,
      value: "rule",
      help: "with --live: a rule to leave out",
    },
    against: {
      type: "string",
      value: "ref",
      help: "compare with the schema at a git reference; default the main branch",
    },
  },
  details: `Compares the schema with the one at a git reference, or with --live with each one that running services respond by,
subscribe with and call by. Services publish the digests of their schemas in the registry, so that equal schemas are not
compared; the descriptors of others are read by gRPC server reflection, which needs registerGrpcReflection of
@micro-es/runtime/debug/grpc in the service. Rules for the micro.v1 options and topics
(buf-plugin-micro) are checked in addition to buf's own. Programs that only call, with createClient, are in no registry: their
calls are not seen, and they are never listed.

Exit code: 0 no change breaks, ${breaks} a change breaks, ${unknown} none does, but a running schema that differs was not available.`,
  examples: [
    ["micro breaking --live", "before a release: list what would break in the fleet"],
    ["micro breaking --live --service orders --use FILE", "check one service, by stricter rules"],
    ["micro breaking --against v1.4.0", "compare with the release"],
  ],
  async run({ arguments: [folder], options, output, environment, signal }) {
    const project = await projectFolder(folder);
    if (options.live !== true) {
      refuseLiveOptions(options);
      output.progress("comparing schemas");
      const { breakingChanges } = await import("../check/breaking.ts");
      const { against, uncompared, changes } = await breakingChanges(project, options.against);
      output.result({ against, changes }, () =>
        changes.length > 0 || against === undefined
          ? joined(changes)
          : `the schema is compatible with ${against}`,
      );
      if (uncompared !== undefined) output.note(`the schema is not compared: ${uncompared}`);
      return changes.length > 0 ? breaks : 0;
    }
    if (options.against !== undefined) {
      throw new UsageError("--live and --against exclude each other");
    }
    output.progress("compiling the schema");
    const { loadGenerator } = await import("../breaking/generator.ts");
    const { builtSchema } = await import("../breaking/built-schema.ts");
    const { compareWithFleet } = await import("../breaking/live.ts");
    const generator = await loadGenerator(project);
    const schema = options.schema === undefined ? project : resolve(options.schema);
    const built = await builtSchema(schema, generator);
    await using fleet = await openBackendParts(environment, options);
    output.progress("comparing with the fleet");
    const { verdicts, incomplete } = await compareWithFleet({
      ...{ fleet, generator, built, project, signal },
      services: options.service ?? [],
      rules: { use: options.use ?? defaultRules, except: options.except ?? [] },
    });
    for (const verdict of verdicts) await report(verdict, project, output);
    for (const name of incomplete) {
      output.note(
        `${name} was built with more schemas than fit into its registry record; it may break without being listed`,
      );
    }
    if (verdicts.length === 0) output.note("no service of this schema runs");
    if (verdicts.some(({ version, state }) => version.kind === "service" && state !== "same")) {
      output.note("programs that only call, with createClient, are in no registry and not listed");
    }
    if (verdicts.some(({ state }) => state === "breaks")) return breaks;
    return verdicts.some(({ state }) => state === "unknown") ? unknown : 0;
  },
});

function refuseLiveOptions(options: Readonly<Record<string, unknown>>): void {
  const given = ["service", "schema", "use", "except"].find((name) => options[name] !== undefined);
  if (given !== undefined) throw new UsageError(`--${given} needs --live`);
}

async function report(
  { version, state, changes, consumers, problem }: Verdict,
  project: string,
  output: Output,
): Promise<void> {
  const { modulePaths } = await import("../buf/modules.ts");
  const { sourcePath } = await import("../breaking/source-paths.ts");
  const modules = await modulePaths(project);
  const { kind, name, digest, processes } = version;
  const found = await Promise.all(
    changes.map(async (change) => ({
      ...change,
      file: await sourcePath(change.file, modules, project),
    })),
  );
  const nodes = processes.map(({ node }) => node.id);
  const value = { kind, name, digest, state, nodes, changes: found, consumers, problem };
  output.result(value, () => {
    const who = `${kind === "service" ? "as served" : "as subscribed to"} by ${counted(processes)}`;
    switch (state) {
      case "same":
        return text`${styled("green", "✓")} ${name}, ${who}, is the same`;
      case "compatible":
        return text`${styled("green", "✓")} ${name}, ${who}, differs and breaks nothing`;
      case "unknown":
        return text`${styled("yellow", "?")} ${name}, ${who}, differs and cannot be compared: ${problem ?? ""}`;
      case "breaks":
        return joined([
          text`${styled("red", "✗")} ${name}, ${who}`,
          ...found.map(
            ({ file, line, column, message, rule }) =>
              `    ${file}:${line}:${column}: ${message} (${rule})`,
          ),
          `  ${whoBreaks(kind, consumers)}`,
        ]);
    }
  });
}

function whoBreaks(kind: "service" | "topic", consumers: readonly Consumer[]): string {
  const certain = consumers.filter((it) => it.certain);
  const others = consumers.filter((it) => !it.certain);
  const role = kind === "service" ? "callers" : "subscribers";
  const parts = [
    certain.length > 0 ? `${role} that break: ${counted(certain)}` : `no ${role} are known`,
  ];
  if (others.length > 0) {
    parts.push(`${counted(others)} may break too; no service has their schema any longer`);
  }
  return parts.join("; ");
}

/** Such as `mail (2 nodes), web`. */
function counted(all: readonly { readonly name: string }[]): string {
  const counts = new Map<string, number>();
  for (const { name } of all) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Array.from(counts, ([name, count]) =>
    count === 1 ? name : `${name} (${count} nodes)`,
  ).join(", ");
}
