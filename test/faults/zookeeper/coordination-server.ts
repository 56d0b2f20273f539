import { startZooKeeper } from "../../../drivers/zookeeper/test/server.ts";
import type { CoordinationServer } from "../coordination/server.ts";

export async function startCoordinationServer(): Promise<CoordinationServer> {
  const zookeeper = await startZooKeeper();
  return {
    url: `zookeeper://${zookeeper.address}`,
    port: zookeeper.port,
    kill: () => zookeeper.stop(),
    start: () => zookeeper.start(),
    [Symbol.asyncDispose]: () => zookeeper.close(),
  };
}
