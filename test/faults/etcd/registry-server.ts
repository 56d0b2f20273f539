import { etcdRegistry } from "@micro-es/etcd";
import { EtcdAdmin } from "../../../drivers/etcd/test/admin.ts";
import { startEtcd } from "../../../drivers/etcd/test/server.ts";
import { startProgram } from "../../support/argument-program.ts";
import type { RegistryServer } from "../registry/backend.ts";

const nodeFile = new URL("../../../drivers/etcd/test/registry-node.ts", import.meta.url).href;

export async function startRegistryServer(): Promise<RegistryServer> {
  const etcd = await startEtcd();
  const admin = new EtcdAdmin(etcd.url);
  return {
    port: etcd.port,
    connect: (port = etcd.port) => etcdRegistry({ endpoints: `http://127.0.0.1:${port}` }),
    noticesWithinMs: 7_000,
    startNodes(ids, { who, ttlMs }) {
      const nodes = ids.map((id) => nodeOf(id, { who }));
      return startProgram(nodeFile, { options: { endpoints: etcd.url }, nodes, ttlMs });
    },
    writer: async () => ({
      async put(id, revision) {
        const {
          id: _,
          service,
          version,
          address,
          metadata,
        } = nodeOf(id, { revision: `${revision}` });
        // A node that is deleted during a longer gap is kept for its ttl, which a check waits for.
        const MicroES = { ttlMs: 2_000, owner: "" };
        const record = { name: service, version, nodes: [{ id, address, metadata }], MicroES };
        await admin.put(keyOf(id), JSON.stringify(record));
      },
      delete: (id) => admin.delete(keyOf(id)),
      async [Symbol.asyncDispose]() {},
    }),
    kill: () => etcd.stop("SIGKILL"),
    start: () => etcd.start(),
    wipe: () => etcd.wipe(),
    cutHistory: () => admin.compact(),
    howHistoryIsCut: "the history compacted",
    [Symbol.asyncDispose]: () => etcd.close(),
  };
}

function keyOf(id: string): string {
  return `/micro/registry/work/${id}`;
}

function nodeOf(id: string, metadata: Readonly<Record<string, string>>) {
  return { id, service: "work", version: "1", address: "127.0.0.1:9", metadata, endpoints: [] };
}
