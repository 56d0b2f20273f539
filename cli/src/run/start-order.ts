import { UsageError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import type { RunPackage, Workspace } from "./workspace.ts";

/** Dependencies among the packages of a workspace. */
export class StartOrder {
  /** The services, each after its dependencies. */
  readonly services: readonly RunPackage[];
  readonly #needs: ReadonlyMap<RunPackage, readonly RunPackage[]>;
  readonly #isService: (it: RunPackage) => boolean;

  /** @throws UsageError for circular dependencies, and for a `micro.after` with an unknown name. */
  constructor({ packages, services }: Workspace) {
    const byName = new Map(packages.map((it) => [it.name, it]));
    this.#needs = new Map(packages.map((it) => [it, needsOf(it, byName)]));
    const chosen = new Set(services);
    this.#isService = (it) => chosen.has(it);
    this.services = this.#sorted(services);
  }

  /** The services to start before this one: its dependencies, and those of its libraries. */
  servicesBefore(service: RunPackage): readonly RunPackage[] {
    const found = new Set<RunPackage>();
    const seen = new Set<RunPackage>();
    const visit = (it: RunPackage): void => {
      for (const needed of this.#needs.get(it) ?? []) {
        if (seen.has(needed)) continue;
        seen.add(needed);
        if (this.#isService(needed)) found.add(needed);
        else visit(needed);
      }
    };
    visit(service);
    return [...found];
  }

  servicesAfter(service: RunPackage): readonly RunPackage[] {
    return this.services.filter((it) => this.servicesBefore(it).includes(service));
  }

  /**
   * The services that contain code of this package: itself, and all that depend on it directly or
   * indirectly.
   */
  servicesUsing(changed: RunPackage): readonly RunPackage[] {
    const uses = (it: RunPackage, seen: Set<RunPackage>): boolean => {
      if (it === changed) return true;
      if (seen.has(it)) return false;
      seen.add(it);
      return (this.#needs.get(it) ?? []).some((needed) => uses(needed, seen));
    };
    return this.services.filter((it) => uses(it, new Set()));
  }

  #sorted(services: readonly RunPackage[]): readonly RunPackage[] {
    const sorted = new Set<RunPackage>();
    const visit = (it: RunPackage, way: readonly RunPackage[]): void => {
      const start = way.indexOf(it);
      if (start >= 0) throw new UsageError(cycle([...way.slice(start), it]));
      if (sorted.has(it)) return;
      for (const needed of this.servicesBefore(it)) visit(needed, [...way, it]);
      sorted.add(it);
    };
    for (const it of services) visit(it, []);
    return [...sorted];
  }
}

function needsOf(it: RunPackage, byName: ReadonlyMap<string, RunPackage>): readonly RunPackage[] {
  if (it.after === undefined) return it.dependencies.flatMap((name) => byName.get(name) ?? []);
  return it.after.map((name) => {
    const all = [...byName.values()];
    const found = byName.get(name) ?? all.find(({ label }) => label === name);
    if (found !== undefined) return found;
    const meant = nearest(name, [...all.map(({ label }) => label), ...byName.keys()]);
    const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
    throw new UsageError(
      `"micro.after" of ${it.folder}/package.json names ${name}, which is not a package here${hint}`,
    );
  });
}

function cycle(way: readonly RunPackage[]): string {
  const names = way.map(({ label }) => label).join(" -> ");
  return `services depend on each other in a circle: ${names}; "micro": { "after": […] } in a package.json replaces its dependencies`;
}
