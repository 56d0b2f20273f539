import { consulRegistry } from "@micro-es/consul";
import { ConsulAdmin } from "../../../drivers/consul/test/admin.ts";
import { startConsul } from "../../../drivers/consul/test/server.ts";
import { startProgram } from "../../support/argument-program.ts";
import type { RegistryServer } from "../registry/backend.ts";

const nodeFile = new URL("../../../drivers/consul/test/registry-node.ts", import.meta.url).href;

export async function startRegistryServer(): Promise<RegistryServer> {
  const consul = await startConsul();
  const admin = new ConsulAdmin(consul.url);
  return {
    port: consul.port,
    connect: (port = consul.port) => consulRegistry({ address: `http://127.0.0.1:${port}` }),
    // Twice the timeout of a response.
    noticesWithinMs: 10_000,
    startNodes(ids, { who, ttlMs }) {
      const nodes = ids.map((id) => {
        return { ...nodeOf(id), metadata: { who }, endpoints: [] };
      });
      return startProgram(nodeFile, { options: { address: consul.url }, nodes, ttlMs });
    },
    // Into the catalog, because an agent hands changes in quick succession to it together.
    writer: async () => ({
      async put(id, revision) {
        const { service, address, version } = nodeOf(id);
        const [host = "", port] = address.split(":");
        await admin.catalog("register", {
          Service: {
            ID: id,
            Service: service,
            Address: host,
            Port: Number(port),
            Tags: [`v=${version}`, `t=${JSON.stringify({ revision: `${revision}` })}`],
            // A node that is deleted during a longer gap is kept for its ttl, which a check waits
            // for.
            Meta: { micro_owner: "writer", micro_ttl: "2000" },
          },
        });
      },
      delete: (id) => admin.catalog("deregister", { ServiceID: id }),
      async [Symbol.asyncDispose]() {},
    }),
    kill: () => consul.stop(),
    start: () => consul.start(),
    wipe: () => consul.wipe(),
    async cutHistory() {
      await consul.stop();
      await consul.start();
    },
    howHistoryIsCut: "the server restarted",
    [Symbol.asyncDispose]: () => consul.close(),
  };
}

function nodeOf(id: string) {
  return { id, service: "work", version: "1", address: "127.0.0.1:9" };
}
