import type { Logger } from "../base/logger.ts";
import { settleAll } from "../base/settle-all.ts";
import type { Node, RegisterOptions, Registration, Registry } from "../registry/registry.ts";
import { hasTooManyEndpoints } from "./node-records.ts";

/**
 * Registers all nodes of a server, or none: if one fails, those already registered are
 * deregistered.
 *
 * @throws MicroError as {@link Registry.register}.
 */
export async function registerAll(
  registry: Registry,
  nodes: readonly Node[],
  options: RegisterOptions,
  logger: Logger,
): Promise<readonly Registration[]> {
  const results = await Promise.allSettled(
    nodes.map(async (node) => registry.register(withoutSurplus(node, logger), options)),
  );
  const registrations = results.flatMap((it) => (it.status === "fulfilled" ? [it.value] : []));
  const failure = results.find((it) => it.status === "rejected");
  if (failure === undefined) return registrations;
  await settleAll(registrations, (registration) => registration.close());
  throw failure.reason;
}

function withoutSurplus(node: Node, logger: Logger): Node {
  if (!hasTooManyEndpoints(node)) return node;
  logger.warn(
    { service: node.service, endpoints: node.endpoints.length },
    "the server has too many endpoints for its registry record and is registered without them",
  );
  return { ...node, endpoints: [] };
}
