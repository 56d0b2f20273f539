import { ZooKeeperAdmin } from "../../../drivers/zookeeper/test/admin.ts";
import { startZooKeeper, type ZooKeeperServer } from "../../../drivers/zookeeper/test/server.ts";
import type { CoordinationServer } from "../coordination/server.ts";
import { until } from "../until.ts";

export async function startCoordinationServer(): Promise<CoordinationServer> {
  return coordinationServer(await startZooKeeper());
}

/** One whose wall clock can be moved. */
export async function startServerWithClock(): Promise<CoordinationServer> {
  const zookeeper = await startZooKeeper({ hasClock: true });
  const admin = new ZooKeeperAdmin(zookeeper.address);
  const server = coordinationServer(zookeeper);
  return {
    ...server,
    async moveClock(hours) {
      zookeeper.moveClock(hours);
      let stated = Number.NaN;
      await until(
        async () => {
          await admin.put("/clock", "");
          const { mtime = 0 } = (await admin.stat("/clock")) ?? {};
          stated = (mtime - Date.now()) / 3_600_000;
          return Math.abs(stated - hours) < 0.1;
        },
        5_000,
        50,
      );
      return stated;
    },
    async [Symbol.asyncDispose]() {
      await admin.close();
      await zookeeper.close();
    },
  };
}

function coordinationServer(zookeeper: ZooKeeperServer): CoordinationServer {
  return {
    url: `zookeeper://${zookeeper.address}`,
    port: zookeeper.port,
    kill: () => zookeeper.stop(),
    start: () => zookeeper.start(),
    [Symbol.asyncDispose]: () => zookeeper.close(),
  };
}
