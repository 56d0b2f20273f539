import type { CallOptions, Node, Registry } from "@micro-es/runtime";
import { tokenOptions } from "./auth/token-options.ts";
import type { OptionSpecs } from "./command.ts";
import { UsageError } from "./errors.ts";
import { nearest, nearestFew } from "./nearest.ts";
import { type Protocol, protocols } from "./protocols.ts";

/** Options of commands that call a service. */
export const targetOptions = {
  node: { type: "string", value: "id", help: "only this node, by its id or address" },
  protocol: {
    type: "string",
    value: "name",
    help: `protocol for an address: ${protocols.join(", ")}; default grpc`,
  },
  ...tokenOptions,
} as const satisfies OptionSpecs;

/**
 * What a command calls: all nodes of a service, one node, or an address that does not come from a
 * registry.
 */
export interface Target {
  readonly name: string;
  /** Empty for an address. */
  readonly nodes: readonly Node[];
  readonly protocol: Protocol;
  /** Call options that select the target. */
  readonly call: CallOptions;
}

/**
 * Finds a service by name, or uses `word` itself if it is an address.
 *
 * @throws UsageError for an unknown name, with the most similar known one.
 */
export async function findTarget(
  registry: Registry,
  word: string,
  options: { readonly node?: string; readonly protocol?: string },
  signal: AbortSignal,
): Promise<Target> {
  const protocol = readProtocol(options.protocol);
  if (isAddress(word)) {
    if (options.node !== undefined) {
      throw new UsageError("--node is for services that are found by name");
    }
    const isComplete = protocol === "native" || word.includes("://") || isOnBackend(word);
    const address = isComplete ? word : `http://${word}`;
    return { name: word, nodes: [], protocol, call: { address } };
  }
  const nodes = await findNodes(registry, word, options.node, signal);
  const ids = new Set(nodes.map(({ id }) => id));
  const filters = options.node === undefined ? [] : [({ id }: Node) => ids.has(id)];
  return { name: word, nodes, protocol, call: { service: word, filters } };
}

async function findNodes(
  registry: Registry,
  service: string,
  chosen: string | undefined,
  signal: AbortSignal,
): Promise<readonly Node[]> {
  const nodes = await registry.get(service, { signal });
  if (nodes.length === 0) {
    const names = await registry.list({ signal });
    const hint =
      names.length === 0
        ? "no service runs here"
        : `there are: ${nearestFew(service, names, 5).join(", ")}`;
    throw new UsageError(`no service named ${service} runs; ${hint}`);
  }
  if (chosen === undefined) return nodes;
  const wanted = nodes.filter(({ id, address }) => chosen === id || chosen === address);
  if (wanted.length > 0) return wanted;
  const ids = nodes.map(({ id }) => id);
  throw new UsageError(
    `${service} has no node ${chosen}; it has: ${nearestFew(chosen, ids, 5).join(", ")}`,
  );
}

/** Whether a word is an address and not a name, which has no colon. */
function isAddress(word: string): boolean {
  return word.includes(":");
}

/** Whether an address is a name on a backend, which only its driver's transport can dial. */
function isOnBackend(address: string): boolean {
  return !address.startsWith("unix:") && !/:\d+$/.test(address);
}

function readProtocol(text: string | undefined): Protocol {
  const found = protocols.find((it) => it === (text ?? "grpc"));
  if (found !== undefined) return found;
  const meant = nearest(text ?? "", protocols);
  throw new UsageError(
    `there is no protocol ${text}; ${meant === undefined ? `there are: ${protocols.join(", ")}` : `did you mean ${meant}?`}`,
  );
}
