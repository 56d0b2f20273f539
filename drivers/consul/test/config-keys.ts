import { type ConsulOptions, consulSource } from "@micro-es/consul";
import type { ConfigSourceFixture } from "@micro-es/contract/config";
import type { ConfigTable } from "@micro-es/runtime/driver";
import type { ConsulAdmin } from "./admin.ts";

/** A source at a prefix of its own, whose values an operator changes. */
export async function keysFixture(
  options: ConsulOptions,
  prefix: string,
  admin: ConsulAdmin,
): Promise<ConfigSourceFixture> {
  const initial: ConfigTable = { a: "one", b: { c: 2, d: [true, "x", { e: 1.5 }] } };
  const change = async (values: ConfigTable) => {
    await admin.put(`kv/${prefix}`, JSON.stringify(values));
  };
  await change(initial);
  return {
    source: consulSource({ ...options, prefix }),
    initial,
    change,
    spoil: async () => {
      await admin.put(`kv/${prefix}`, '{"__proto__": 1}');
    },
  };
}
