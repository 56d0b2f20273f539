import type { BuiltSchema } from "./built-schema.ts";
import type { Process } from "./processes.ts";

/** A schema of a service or topic with which some of the fleet was built. */
export interface Version {
  readonly kind: "service" | "topic";
  readonly name: string;
  /** Undefined if the processes do not publish one. */
  readonly digest: string | undefined;
  /** Programs that serve or subscribe with it. */
  readonly processes: readonly Process[];
}

/**
 * All schemas in the fleet that the built one replaces: of its services and topics, of others in
 * their packages, and of unknown topics, which may have been deleted from it.
 *
 * @param services only programs with one of these names; all if empty
 */
export function versionsOf(
  processes: readonly Process[],
  built: BuiltSchema,
  services: readonly string[],
): readonly Version[] {
  const versions = new Map<string, Version & { readonly processes: Process[] }>();
  const add = (version: Omit<Version, "processes">, process: Process) => {
    const key = `${version.kind} ${version.name} ${version.digest ?? process.node.address}`;
    const known = versions.get(key);
    if (known === undefined) versions.set(key, { ...version, processes: [process] });
    else known.processes.push(process);
  };
  for (const process of processes) {
    const { names, builtWith } = process;
    if (services.length > 0 && !services.some((name) => names.includes(name))) continue;
    for (const [name, digest] of builtWith.serves) {
      if (isOurs(name, built)) add({ kind: "service", name, digest }, process);
    }
    for (const [name, digest] of builtWith.subscribes) {
      add({ kind: "topic", name, digest }, process);
    }
    if (builtWith.serves.size > 0) continue;
    // Built before there were digests, or in another language.
    for (const { desc, registryName } of built.services.values()) {
      if (!names.includes(registryName)) continue;
      add({ kind: "service", name: desc.typeName, digest: undefined }, process);
    }
  }
  return [...versions.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function isOurs(service: string, { services, packages }: BuiltSchema): boolean {
  return services.has(service) || packages.has(service.slice(0, service.lastIndexOf(".")));
}

/**
 * The digest of the same service or topic in the built schema; undefined if it no longer exists.
 */
export function builtDigest({ kind, name }: Version, built: BuiltSchema): string | undefined {
  return (kind === "service" ? built.services : built.topics).get(name)?.digest;
}
