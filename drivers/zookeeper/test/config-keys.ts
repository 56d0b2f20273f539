import type { ConfigSourceFixture } from "@micro-es/contract/config";
import type { ConfigTable } from "@micro-es/runtime/driver";
import { type ZooKeeperOptions, zooKeeperSource } from "@micro-es/zookeeper";
import type { ZooKeeperAdmin } from "./admin.ts";

/** A source at a path of its own, whose values an operator changes. */
export async function znodesFixture(
  options: ZooKeeperOptions,
  root: string,
  admin: ZooKeeperAdmin,
): Promise<ConfigSourceFixture> {
  const initial: ConfigTable = { a: "one", b: { c: 2, d: [true, "x", { e: 1.5 }] } };
  const change = (values: ConfigTable) => admin.put(root, JSON.stringify(values));
  await change(initial);
  return {
    source: zooKeeperSource({ ...options, root }),
    initial,
    change,
    spoil: () => admin.put(root, '{"__proto__": 1}'),
  };
}
