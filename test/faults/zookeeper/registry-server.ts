import { zooKeeperRegistry } from "@micro-es/zookeeper";
import { ZooKeeperAdmin } from "../../../drivers/zookeeper/test/admin.ts";
import { startEnsemble, type ZooKeeperServer } from "../../../drivers/zookeeper/test/server.ts";
import { startProgram } from "../../support/argument-program.ts";
import type { RegistryServer } from "../registry/backend.ts";

const nodeFile = new URL("../../../drivers/zookeeper/test/registry-node.ts", import.meta.url).href;
/** Its sessions follow each other quickly where ZooKeeper has lost its data. */
const sessionTimeoutMs = 2_000;

export async function startRegistryServer(members = 1): Promise<RegistryServer> {
  const servers = await startEnsemble(members);
  const [zookeeper] = servers as [ZooKeeperServer, ...ZooKeeperServer[]];
  return {
    port: zookeeper.port,
    ports: servers.map(({ port }) => port),
    connect: (...ports) =>
      zooKeeperRegistry({
        servers: (ports.length === 0 ? [zookeeper.port] : ports).map((port) => `127.0.0.1:${port}`),
        sessionTimeoutMs,
      }),
    // Two thirds of a session, and a second.
    noticesWithinMs: (2 * sessionTimeoutMs) / 3 + 1_000,
    startNodes(ids, { who, ttlMs }) {
      const nodes = ids.map((id) => nodeOf(id, { who }));
      const options = { servers: zookeeper.address, sessionTimeoutMs };
      return startProgram(nodeFile, { options, nodes, ttlMs });
    },
    async writer() {
      const admin = new ZooKeeperAdmin(zookeeper.address);
      return {
        async put(id, revision) {
          const { id: _, service, ...node } = nodeOf(id, { revision: `${revision}` });
          const { version, address, metadata } = node;
          // A node that is deleted during a longer gap is kept for its ttl, which a check waits
          // for.
          const MicroES = { ttlMs: 2_000, owner: "" };
          const record = { name: service, version, nodes: [{ id, address, metadata }], MicroES };
          await admin.put(pathOf(id), JSON.stringify(record));
        },
        delete: (id) => admin.delete(pathOf(id)),
        [Symbol.asyncDispose]: () => admin.close(),
      };
    },
    kill: () => zookeeper.stop(),
    start: () => zookeeper.start(),
    wipe: () => zookeeper.wipe(),
    async [Symbol.asyncDispose]() {
      for (const server of servers) await server.close();
    },
  };
}

function pathOf(id: string): string {
  return `/micro-registry/work/${id}`;
}

function nodeOf(id: string, metadata: Readonly<Record<string, string>>) {
  return { id, service: "work", version: "1", address: "127.0.0.1:9", metadata, endpoints: [] };
}
