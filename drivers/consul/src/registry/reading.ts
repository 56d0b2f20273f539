import { MicroError } from "@micro-es/runtime";
import type { Indexed } from "../link/followed-query.ts";
import { isObject, parse } from "../link/json.ts";
import type { ConsulLink } from "../link/link.ts";
import type { ConsulService } from "./record.ts";

/** An instance of a service, as an agent registered it. */
export interface Instance {
  readonly service: ConsulService;
  /** The name of the agent. An id is unique for each agent only. */
  readonly agent: string;
  /** When it last changed, by Consul's index. */
  readonly modified: number;
  /** Whether no check of it, and none of its agent, is critical. */
  readonly isAlive: boolean;
}

/** The instances of a service at one index. */
export interface Reading extends Indexed {
  readonly instances: readonly Instance[];
}

export interface ReadOptions {
  /** Waits for a change after this index; 0 reads at once, from the leader. */
  readonly after?: number;
  /** How long to wait, in milliseconds. */
  readonly waitMs?: number;
  /** Only the instance with this id, which has no quotes. */
  readonly id?: string;
  /** Whether to read from the agent's own datacenter, whichever is configured. */
  readonly isLocal?: boolean;
  readonly signal: AbortSignal;
}

/** Reads the instances of a service. @throws MicroError as {@link ConsulLink.call}. */
export async function readService(
  link: ConsulLink,
  name: string,
  { after = 0, waitMs = link.waitMs, id, isLocal = false, signal }: ReadOptions,
): Promise<Reading> {
  const isWait = after > 0;
  const { index, text } = await link.call(
    {
      path: `health/service/${encodeURIComponent(name)}`,
      query: {
        dc: isLocal ? undefined : link.datacenter,
        filter: id === undefined ? undefined : `Service.ID == "${id}"`,
      },
      // The first reading is the leader's, so that none begins with an older state.
      ...(isWait ? { stale: true, block: { index: after, waitMs } } : {}),
    },
    `read the nodes of ${name}`,
    signal,
  );
  const entries: unknown = parse(text);
  if (!Array.isArray(entries)) throw new MicroError("internal", "Consul responded with no list");
  // Consul ignores case in names.
  const instances = entries.flatMap(instanceOf).filter(({ service }) => service.name === name);
  return { index, instances };
}

function instanceOf(entry: unknown): Instance[] {
  if (!isObject(entry) || !isObject(entry.Service)) return [];
  const { ID, Service: name, Address, Port, Tags, Meta, ModifyIndex } = entry.Service;
  if (typeof ID !== "string" || typeof name !== "string") return [];
  const agent = isObject(entry.Node) ? entry.Node : {};
  const address = typeof Address === "string" && Address !== "" ? Address : agent.Address;
  const checks = Array.isArray(entry.Checks) ? (entry.Checks as unknown[]) : [];
  return [
    {
      service: {
        id: ID,
        name,
        address: typeof address === "string" ? address : "",
        port: typeof Port === "number" ? Port : 0,
        tags: Array.isArray(Tags) ? Tags.filter((tag) => typeof tag === "string") : [],
        meta: isObject(Meta) ? Meta : {},
      },
      agent: typeof agent.Node === "string" ? agent.Node : "",
      modified: typeof ModifyIndex === "number" ? ModifyIndex : 0,
      isAlive: !checks.some((check) => isObject(check) && check.Status === "critical"),
    },
  ];
}
