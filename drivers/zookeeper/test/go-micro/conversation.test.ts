import type { RegistryEvent } from "@micro-es/runtime";
import {
  nodesOf,
  type RecordedFleet,
  recordedFleets,
  withoutOwner,
} from "@micro-es/test-support/recorded-fleet";
import { zooKeeperRegistry } from "@micro-es/zookeeper";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ZooKeeperAdmin } from "../admin.ts";
import { skipWithoutZooKeeper, startZooKeeper, type ZooKeeperServer } from "../server.ts";

/** A conversation of a fleet with go-micro on ZooKeeper: see README.md. */
interface Recorded extends RecordedFleet {
  readonly znodes: readonly {
    readonly path: string;
    readonly data: string;
    readonly isEphemeral: boolean;
  }[];
}

/** For a busy machine. */
const patience = { timeout: 10_000 };

const conversations = recordedFleets<Recorded>(new URL("recorded.json", import.meta.url));

describe.skipIf(skipWithoutZooKeeper).each(conversations)(
  "a fleet with go-micro's $protocol",
  ({ go, ours, znodes }) => {
    let server: ZooKeeperServer;
    let admin: ZooKeeperAdmin;
    beforeAll(async () => {
      server = await startZooKeeper();
      admin = new ZooKeeperAdmin(server.address);
    });
    afterAll(async () => {
      await admin?.close();
      await server?.close();
    });

    test("sees Go's service come and leave, as Go registered it", async () => {
      const { service } = ours.found[0]!;
      const root = `/micro-registry/${service}`;
      const byGo = znodes.filter(({ path }) => path === root || path.startsWith(`${root}/`));
      expect(byGo.map(({ isEphemeral }) => isEphemeral)).toEqual([false, false]);
      await using registry = zooKeeperRegistry({ servers: server.address });
      const watched: RegistryEvent[] = [];
      const watching = (async () => {
        for await (const event of registry.watch(service)) watched.push(event);
      })();
      await expect.poll(() => watched.length, patience).toBe(1);
      for (const { path, data } of byGo) await admin.put(path, data);
      await expect.poll(() => registry.get(service), patience).toEqual(ours.found);
      expect(ours.found).toMatchObject(nodesOf(go.own));
      await admin.delete(byGo[1]!.path);
      await expect.poll(() => watched.length, patience).toBe(ours.watched.length);
      expect(watched).toEqual(ours.watched);
      expect(await registry.get(service)).toEqual([]);
      await registry.close();
      await watching;
    });

    test("writes the record that Go read, and removes it", async () => {
      const { node } = ours;
      const root = `/micro-registry/${node.service}`;
      const own = znodes.filter(({ path }) => path === root || path.startsWith(`${root}/`));
      expect(own.map(({ isEphemeral }) => isEphemeral)).toEqual([false, true]);
      const [parent, record] = own;
      await using registry = zooKeeperRegistry({ servers: server.address });
      const registration = await registry.register(node);
      expect(`${Buffer.from((await admin.read(root))!)}`).toBe(parent!.data);
      const value = `${Buffer.from((await admin.read(record!.path))!)}`;
      expect(withoutOwner(value)).toBe(withoutOwner(record!.data));
      expect((await admin.stat(record!.path))?.ephemeralOwner).not.toBe(0n);
      // What Go made of these bytes.
      expect(nodesOf(go.found)).toMatchObject([node]);
      expect(go.watched.map(({ Action }) => Action)).toEqual(["override", "create", "create"]);
      await registration.close();
      expect(await admin.read(record!.path)).toBeUndefined();
    });
  },
);
