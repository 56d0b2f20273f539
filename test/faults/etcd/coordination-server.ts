import { EtcdAdmin } from "../../../drivers/etcd/test/admin.ts";
import { startEtcd } from "../../../drivers/etcd/test/server.ts";
import type { StoreServer } from "../coordination/server.ts";

export async function startCoordinationServer(): Promise<StoreServer> {
  const etcd = await startEtcd();
  const admin = new EtcdAdmin(etcd.url);
  return {
    url: etcd.url.replace("http:", "etcd:"),
    port: etcd.port,
    kill: () => etcd.stop("SIGKILL"),
    start: () => etcd.start(),
    hasKeys: async () => (await admin.count("/micro/store/records/key/")) > 0,
    // Leases remove them, which begin again when a leader is elected.
    keepsExpiredMs: 60_000,
    [Symbol.asyncDispose]: () => etcd.close(),
  };
}
