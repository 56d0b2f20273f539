import type { DescMessage, DescService } from "@bufbuild/protobuf";
import { MicroError } from "@micro-es/runtime";
import type { BackendParts } from "../backend-parts.ts";
import { type Reflected, reflect } from "../schema/reflection.ts";
import type { BuiltSchema } from "./built-schema.ts";
import { type Change, changesBetween } from "./changes.ts";
import { type Consumer, consumersOf } from "./consumers.ts";
import type { Generator } from "./generator.ts";
import { findProcesses, type Process } from "./processes.ts";
import { prunedTo } from "./pruned.ts";
import type { RuleChoice } from "./rules.ts";
import { builtDigest, type Version, versionsOf } from "./versions.ts";

/** Result of comparing the built schema with a running one. */
export interface Verdict {
  readonly version: Version;
  readonly state: "same" | "compatible" | "breaks" | "unknown";
  readonly changes: readonly Change[];
  /** Users of the changed parts, as far as the registry knows them. */
  readonly consumers: readonly Consumer[];
  /** Why it could not be compared. */
  readonly problem?: string;
}

export interface LiveComparison {
  readonly verdicts: readonly Verdict[];
  /** Programs with more schemas than their records have room for; they may be missing above. */
  readonly incomplete: readonly string[];
}

export interface LiveOptions {
  readonly fleet: BackendParts;
  readonly generator: Generator;
  readonly built: BuiltSchema;
  readonly rules: RuleChoice;
  /** Only programs with one of these names; all if empty. */
  readonly services: readonly string[];
  readonly project: string;
  readonly signal: AbortSignal;
}

/** Compares the built schema with every schema that the fleet serves or subscribes with. */
export async function compareWithFleet(options: LiveOptions): Promise<LiveComparison> {
  const { fleet, built, services, signal } = options;
  const processes = await findProcesses(fleet.registry, signal);
  const versions = versionsOf(processes, built, services);
  const descriptions = new Map<Process, Promise<Reflected>>();
  const client = fleet.client();
  const describe = (process: Process) => {
    let described = descriptions.get(process);
    if (described === undefined) {
      const { service, id } = process.node;
      const filters = [(node: { readonly id: string }) => node.id === id];
      described = reflect(client, { service, filters, signal });
      descriptions.set(process, described);
    }
    return described;
  };
  const verdicts: Verdict[] = [];
  for (const version of versions) {
    const verdict = await judge(version, describe, options);
    if (verdict === undefined) continue;
    const consumers =
      verdict.state === "breaks" ? consumersOf(version, versions, processes, built) : [];
    verdicts.push({ ...verdict, consumers });
  }
  const incomplete = processes.filter(({ builtWith }) => !builtWith.complete);
  return { verdicts, incomplete: [...new Set(incomplete.map(({ name }) => name))] };
}

/** Undefined for a topic that was never part of this schema. */
async function judge(
  version: Version,
  describe: (process: Process) => Promise<Reflected>,
  { built, generator, rules, project }: LiveOptions,
): Promise<Verdict | undefined> {
  const verdict = { version, changes: [], consumers: [] };
  const released = builtDigest(version, built);
  if (released !== undefined && released === version.digest) return { ...verdict, state: "same" };
  const root = await findRoot(version, describe, generator);
  if (typeof root === "string") {
    // If no service describes a topic, it may never have been part of this schema.
    if (version.kind === "topic" && released === undefined) return undefined;
    return { ...verdict, state: "unknown", problem: root };
  }
  if (released === undefined && !built.packages.has(root.file.proto.package)) return undefined;
  if (generator.schemaDigest(root) === released) return { ...verdict, state: "same" };
  const running = prunedTo(root, built.files, generator);
  const changes = await changesBetween(running, built.image, rules, project);
  return { ...verdict, changes, state: changes.length > 0 ? "breaks" : "compatible" };
}

/**
 * The running descriptor of a service or of a topic's event, from the first process that describes
 * it, or the reason why none does.
 */
async function findRoot(
  { kind, name, processes }: Version,
  describe: (process: Process) => Promise<Reflected>,
  { describeSchema }: Generator,
): Promise<DescService | DescMessage | string> {
  let problem = "";
  for (const process of processes) {
    try {
      const { registry } = await describe(process);
      const root =
        kind === "service"
          ? registry.getService(name)
          : describeSchema(registry.files).topics.get(name)?.message;
      if (root !== undefined) return root;
      problem ||= `${process.node.id} has a schema without it`;
    } catch (reason) {
      if (!(reason instanceof MicroError)) throw reason;
      problem ||= `${process.node.id}: ${reason.message}`;
    }
  }
  return problem;
}
