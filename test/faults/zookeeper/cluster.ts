import { zooKeeperRegistry, zooKeeperSource, zooKeeperSync } from "@micro-es/zookeeper";
import { ZooKeeperAdmin } from "../../../drivers/zookeeper/test/admin.ts";
import { leaderOf, startEnsemble } from "../../../drivers/zookeeper/test/server.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { zooKeeperRecords } from "./records.ts";

export async function startCluster(): Promise<Cluster> {
  const members = await startEnsemble(3);
  const options = { servers: members.map(({ address }) => address) };
  const admin = new ZooKeeperAdmin(options.servers.join(","));
  return {
    members,
    leader: () => leaderOf(members),
    registry: () => zooKeeperRegistry(options),
    sync: () => zooKeeperSync(options),
    records: () => zooKeeperRecords(options),
    source: () => zooKeeperSource(options),
    setCount: (count) => admin.put("/micro/config/count", `${count}`),
    async [Symbol.asyncDispose]() {
      await admin.close();
      for (const member of members) await member.close();
    },
  };
}
