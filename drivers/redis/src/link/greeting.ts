import { Buffer } from "node:buffer";
import { MicroError } from "@micro-es/runtime";
import type { RedisConnection, Reply } from "./connection.ts";
import { refusalOf } from "./failure.ts";
import type { RedisDurability, RedisOptions } from "./options.ts";

/**
 * Authenticates a new connection, and checks that its server is a primary that does what the
 * options ask for.
 * @throws MicroError `unavailable` for a replica; `failed_precondition` for a member of a cluster,
 * a server that evicts keys, or one that guarantees less than the option `durability`; or the error
 * of the server.
 */
export async function greet(connection: RedisConnection, options: RedisOptions): Promise<void> {
  const { user, password, database = 0, durability = "none" } = options;
  if (password !== undefined) {
    await connection.send("AUTH", user === undefined ? [password] : [user, password]);
  }
  const hello = pairs(await connection.send("HELLO", []));
  const { text } = connection.address;
  if (hello.get("mode") === "cluster") {
    throw refused(`the server at ${text} belongs to a Redis Cluster, which is not supported`);
  }
  if (hello.get("role") === "replica" || hello.get("role") === "slave") {
    throw new MicroError(
      "unavailable",
      `the server at ${text} is a replica, which takes no writes`,
      {
        outcome: "not-executed",
      },
    );
  }
  if (database !== 0) await connection.send("SELECT", [database]);
  // Until it has read its data, a server refuses this.
  await connection.send("PING", []);
  const config = await permitted(connection, "CONFIG", [
    ...["GET", "maxmemory-policy", "maxmemory", "appendonly", "appendfsync"],
  ]);
  if (config !== undefined) refuseEviction(text, pairs(config));
  if (durability === "none") return;
  const replication = await permitted(connection, "INFO", ["replication"]);
  requireDurability(text, durability, config, replication);
}

/** An evicted lock would be held twice, and an evicted stream would take its events with it. */
function refuseEviction(server: string, config: ReadonlyMap<string, string>): void {
  const policy = config.get("maxmemory-policy") ?? "noeviction";
  if (policy === "noeviction" || (config.get("maxmemory") ?? "0") === "0") return;
  throw refused(
    `the server at ${server} removes keys when its memory is full (maxmemory-policy ${policy}); configure noeviction`,
  );
}

function requireDurability(
  server: string,
  wanted: RedisDurability,
  config: Reply | undefined,
  replication: Reply | undefined,
): void {
  if (config === undefined || replication === undefined) {
    throw refused(
      `the server at ${server} does not allow CONFIG GET and INFO, by which the durability ${wanted} is checked; allow them, or require none`,
    );
  }
  const settings = pairs(config);
  const replicas = /connected_slaves:(\d+)/.exec(String(replication))?.[1] ?? "0";
  const sync = settings.get("appendfsync");
  const found =
    settings.get("appendonly") !== "yes" ? "no append-only file" : `appendfsync ${sync}`;
  const suffices = wanted === "power-loss" ? found.endsWith("always") : found.startsWith("append");
  if (suffices && replicas === "0") return;
  throw refused(
    `the server at ${server} has ${found} and ${replicas} replicas, which is less than the durability ${wanted}; configure it, or require none`,
  );
}

/** The reply to a command that the access control list may forbid; undefined then. */
async function permitted(
  connection: RedisConnection,
  command: string,
  args: readonly string[],
): Promise<Reply | undefined> {
  try {
    return await connection.send(command, args);
  } catch (error) {
    // Servers of providers have no CONFIG.
    const isForbidden = refusalOf(error) === "NOPERM" || /unknown command/i.test(String(error));
    if (isForbidden) return undefined;
    throw error;
  }
}

/** Names and values that follow each other; values that are not text are left out. */
function pairs(reply: Reply): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const items = Array.isArray(reply) ? (reply as readonly Reply[]) : [];
  for (let index = 0; index + 1 < items.length; index += 2) {
    const value = items[index + 1];
    if (Buffer.isBuffer(value)) found.set(String(items[index]), value.toString());
  }
  return found;
}

function refused(message: string): MicroError {
  return new MicroError("failed_precondition", message, { outcome: "not-executed" });
}
