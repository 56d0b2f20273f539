import { natsRegistry } from "@micro-es/nats";
import { connect } from "nats";
import { startNats } from "../../../drivers/nats/test/server.ts";
import { startProgram } from "../../support/argument-program.ts";
import type { RecordWriter, RegistryServer } from "../registry/backend.ts";

const nodesFile = new URL("nodes.ts", import.meta.url).href;

export async function startRegistryServer(): Promise<RegistryServer> {
  const nats = await startNats();
  return {
    port: nats.port,
    connect: (port = nats.port) => natsRegistry({ servers: `nats://127.0.0.1:${port}` }),
    startNodes: (ids, options) => startProgram(nodesFile, { servers: nats.url, ids, ...options }),
    writer: () => recordWriter(nats.url),
    kill: () => nats.stop("SIGKILL"),
    start: () => nats.start(),
    [Symbol.asyncDispose]: () => nats.close(),
  };
}

/** Writes with NATS' own library. */
async function recordWriter(servers: string): Promise<RecordWriter> {
  const connection = await connect({ servers });
  const bucket = await connection.jetstream().views.kv("micro-registry", { bindOnly: true });
  return {
    async put(id, revision) {
      const metadata = { revision: `${revision}` };
      const node = { id, service: "work", version: "1", address: "127.0.0.1:9", metadata };
      const record = { node: { ...node, endpoints: [] }, ttlMs: 600_000, owner: "test" };
      await bucket.put(`work.${id}`, JSON.stringify(record));
    },
    delete: (id) => bucket.delete(`work.${id}`),
    [Symbol.asyncDispose]: () => connection.close(),
  };
}
