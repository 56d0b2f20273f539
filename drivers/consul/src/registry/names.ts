import { isObject, parse } from "../link/json.ts";
import type { ConsulLink } from "../link/link.ts";
import { hasVersion } from "./tags.ts";

/**
 * The names of the services that have a node that is alive. @throws MicroError as
 * {@link ConsulLink.call}.
 */
export async function readNames(
  link: ConsulLink,
  what: string,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const query = { dc: link.datacenter };
  const [services, checks] = await Promise.all([
    link.call({ path: "catalog/services", query }, what, signal),
    link.call({ path: "health/state/any", query }, what, signal),
  ]);
  const tagsByName: unknown = parse(services.text);
  if (!isObject(tagsByName)) return [];
  const dead = onlyDead(parse(checks.text));
  return Object.entries(tagsByName).flatMap(([name, tags]) => {
    const isNode = Array.isArray(tags) && hasVersion(tags.filter((tag) => typeof tag === "string"));
    return isNode && !dead.has(name) ? [name] : [];
  });
}

/**
 * The names of services all of whose checked instances are critical: Consul lists them for more
 * than a minute. A service that also has an instance without a check counts among them.
 */
function onlyDead(checks: unknown): ReadonlySet<string> {
  const deadAgents = new Set<unknown>();
  /** Whether an instance is alive, by agent and id. */
  const instances = new Map<string, { readonly name: string; agent: unknown; alive: boolean }>();
  for (const check of Array.isArray(checks) ? (checks as unknown[]) : []) {
    if (!isObject(check)) continue;
    const { Node: agent, ServiceID, ServiceName: name, Status } = check;
    const isCritical = Status === "critical";
    if (typeof name !== "string" || name === "") {
      if (isCritical) deadAgents.add(agent);
      continue;
    }
    const key = JSON.stringify([agent, ServiceID]);
    const known = instances.get(key);
    if (known === undefined) instances.set(key, { name, agent, alive: !isCritical });
    else if (isCritical) known.alive = false;
  }
  const dead = new Set([...instances.values()].map(({ name }) => name));
  for (const { name, agent, alive } of instances.values()) {
    if (alive && !deadAgents.has(agent)) dead.delete(name);
  }
  return dead;
}
