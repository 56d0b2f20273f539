import { consulRegistry, consulSource, consulSync } from "@micro-es/consul";
import { ConsulAdmin } from "../../../drivers/consul/test/admin.ts";
import { leaderOf, startCluster as start } from "../../../drivers/consul/test/server.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { consulRecords } from "./records.ts";

/** Three servers, used by way of a client agent. */
export async function startCluster(): Promise<Cluster> {
  const cluster = await start();
  const options = { address: cluster.agent.url };
  const admin = new ConsulAdmin(cluster.agent.url);
  return {
    members: cluster.servers,
    leader: () => leaderOf(cluster.servers),
    registry: () => consulRegistry(options),
    sync: () => consulSync(options),
    records: () => consulRecords(options),
    source: () => consulSource(options),
    async setCount(count) {
      await admin.put("kv/micro/config/count", `${count}`);
    },
    [Symbol.asyncDispose]: () => cluster.close(),
  };
}
