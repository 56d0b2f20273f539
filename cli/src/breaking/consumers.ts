import type { BuiltSchema } from "./built-schema.ts";
import type { Process } from "./processes.ts";
import { builtDigest, type Version } from "./versions.ts";

/** A program that uses a changed part of the schema. */
export interface Consumer {
  readonly name: string;
  readonly node: string;
  /**
   * False if it was built with a schema that no running service has, so that it may or may not
   * break.
   */
  readonly certain: boolean;
}

/**
 * Programs that break with a version of a service or topic: its callers or subscribers, except
 * those that were built with the new schema.
 */
export function consumersOf(
  version: Version,
  versions: readonly Version[],
  processes: readonly Process[],
  built: BuiltSchema,
): readonly Consumer[] {
  const { kind, name, digest } = version;
  const consumer = ({ name, node }: Process, certain: boolean) => ({
    name,
    node: node.id,
    certain,
  });
  if (kind === "topic") return version.processes.map((process) => consumer(process, true));
  const served = new Set(
    versions.filter((it) => it.kind === "service" && it.name === name).map((it) => it.digest),
  );
  const released = builtDigest(version, built);
  return processes.flatMap((process) => {
    const used = process.builtWith.calls.get(name);
    if (used === undefined || used === released) return [];
    if (used === digest) return [consumer(process, true)];
    return served.has(used) ? [] : [consumer(process, false)];
  });
}
