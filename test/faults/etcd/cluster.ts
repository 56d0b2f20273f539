import { etcdRegistry, etcdSource, etcdStore, etcdSync } from "@micro-es/etcd";
import { EtcdAdmin } from "../../../drivers/etcd/test/admin.ts";
import { startCluster as start } from "../../../drivers/etcd/test/server.ts";
import type { Cluster } from "../cluster/cluster.ts";

export async function startCluster(): Promise<Cluster> {
  const members = await start(3, {
    flags: ["--heartbeat-interval", "50", "--election-timeout", "500"],
  });
  const options = { endpoints: members.map(({ url }) => url) };
  const admins = members.map(({ url }) => new EtcdAdmin(url));
  return {
    members,
    async leader() {
      for (const [at, admin] of admins.entries()) {
        const status = await admin.status().catch(() => undefined);
        if (status !== undefined && status.member === status.leader) return members[at];
      }
      return undefined;
    },
    registry: () => etcdRegistry(options),
    sync: () => etcdSync(options),
    records: () => etcdStore(options),
    source: () => etcdSource(options),
    async setCount(count) {
      // At one after another: the first attempt must not arrive after the next count.
      for (const [at, admin] of admins.entries()) {
        if (members[at]?.running !== true) continue;
        await admin.put("/micro/config/count", `${count}`);
        return;
      }
    },
    async [Symbol.asyncDispose]() {
      for (const member of members) await member.close();
    },
  };
}
