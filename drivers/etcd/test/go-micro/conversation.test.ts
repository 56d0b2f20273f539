import { etcdRegistry } from "@micro-es/etcd";
import type { RegistryEvent } from "@micro-es/runtime";
import {
  nodesOf,
  type RecordedFleet,
  recordedFleets,
  withoutOwner,
} from "@micro-es/test-support/recorded-fleet";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EtcdAdmin } from "../admin.ts";
import { type EtcdServer, skipWithoutEtcd, startEtcd } from "../server.ts";

/** A conversation of a fleet with go-micro on etcd: see README.md. */
interface Recorded extends RecordedFleet {
  readonly changes: readonly {
    readonly type: "put" | "delete";
    readonly key: string;
    readonly value: string | null;
  }[];
}

/** For a busy machine. */
const patience = { timeout: 10_000 };

const conversations = recordedFleets<Recorded>(new URL("recorded.json", import.meta.url));

describe.skipIf(skipWithoutEtcd).each(conversations)(
  "a fleet with go-micro's $protocol",
  ({ go, ours, changes }) => {
    let server: EtcdServer;
    let admin: EtcdAdmin;
    beforeAll(async () => {
      server = await startEtcd();
      admin = new EtcdAdmin(server.url);
    });
    afterAll(() => server?.close());

    test("sees Go's service come and leave, as Go registered it", async () => {
      const prefix = `/micro/registry/${ours.found[0]!.service}/`;
      const byGo = changes.filter(({ key }) => key.startsWith(prefix));
      expect(byGo.map(({ type }) => type)).toEqual(["put", "delete"]);
      await using registry = etcdRegistry({ endpoints: server.url });
      const watched: RegistryEvent[] = [];
      const watching = (async () => {
        for await (const event of registry.watch(ours.found[0]!.service)) watched.push(event);
      })();
      await expect.poll(() => watched.length, patience).toBe(1);
      for (const { type, key, value } of byGo) {
        if (type === "delete") {
          await expect
            .poll(() => registry.get(ours.found[0]!.service), patience)
            .toEqual(ours.found);
          expect(ours.found).toMatchObject(nodesOf(go.own));
          await admin.delete(key);
        } else await admin.put(key, value!);
      }
      await expect.poll(() => watched.length, patience).toBe(ours.watched.length);
      expect(watched).toEqual(ours.watched);
      expect(await registry.get(ours.found[0]!.service)).toEqual([]);
      await registry.close();
      await watching;
    });

    test("writes the record that Go read, and removes it", async () => {
      const { node } = ours;
      const key = `/micro/registry/${node.service}/${node.id}`;
      const own = changes.filter((each) => each.key === key);
      expect(own.map(({ type }) => type)).toEqual(["put", "delete"]);
      await using registry = etcdRegistry({ endpoints: server.url });
      const registration = await registry.register(node);
      const { value, lease } = (await admin.get(key))!;
      expect(withoutOwner(value)).toBe(withoutOwner(own[0]!.value!));
      expect(lease).not.toBe("0");
      // What Go made of these bytes.
      expect(nodesOf(go.found)).toMatchObject([node]);
      expect(go.watched.map(({ Action }) => Action)).toEqual(["create", "delete"]);
      await registration.close();
      expect(await admin.get(key)).toBeUndefined();
    });
  },
);
