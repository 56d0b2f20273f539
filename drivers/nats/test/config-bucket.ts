import type { ConfigSourceFixture } from "@micro-es/contract/config";
import type { NatsOptions } from "@micro-es/nats";
import { natsSource } from "@micro-es/nats";
import type { ConfigTable } from "@micro-es/runtime/driver";
import type { NatsConnection } from "nats";

/** A source in a bucket of its own, changed with NATS' own library, as its command line does. */
export async function bucketFixture(
  options: NatsOptions,
  bucket: string,
  tools: NatsConnection,
): Promise<ConfigSourceFixture> {
  const kv = await tools.jetstream().views.kv(bucket);
  const initial: ConfigTable = { a: "one", b: { c: 2, d: [true, "x", { e: 1.5 }] } };
  const change = async (values: ConfigTable) => {
    await kv.put("all", JSON.stringify(values));
  };
  await change(initial);
  return {
    source: natsSource({ ...options, bucket, prefix: "all" }),
    initial,
    change,
    async spoil() {
      await kv.put("all", '{"__proto__": 1}');
    },
  };
}
