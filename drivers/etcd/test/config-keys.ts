import type { ConfigSourceFixture } from "@micro-es/contract/config";
import { type EtcdOptions, etcdSource } from "@micro-es/etcd";
import type { ConfigTable } from "@micro-es/runtime/driver";
import type { EtcdAdmin } from "./admin.ts";

/** A source at a prefix of its own, whose values an operator changes. */
export async function keysFixture(
  options: EtcdOptions,
  prefix: string,
  admin: EtcdAdmin,
): Promise<ConfigSourceFixture> {
  const initial: ConfigTable = { a: "one", b: { c: 2, d: [true, "x", { e: 1.5 }] } };
  const change = (values: ConfigTable) => admin.put(prefix, JSON.stringify(values));
  await change(initial);
  return {
    source: etcdSource({ ...options, prefix }),
    initial,
    change,
    spoil: () => admin.put(prefix, '{"__proto__": 1}'),
  };
}
