import { connect } from "nats";
import { startNats } from "../../../drivers/nats/test/server.ts";
import type { Attack } from "../attack.ts";
import { missingNats } from "../wire/nats-setup.ts";

const keys = 2_000;
const writes = 3_000;

export const attack: Attack = {
  protocol: "NATS",
  description: `${writes} writes to a configuration bucket of ${keys} keys`,
  bounds: { cpuMsPerMB: 3_000, heldPerByte: 16 },
  setup: new URL("../wire/nats-setup.ts", import.meta.url),
  missing: missingNats,
  async run(target) {
    await using server = await startNats();
    const connection = await connect({ servers: server.url });
    const bucket = await connection.jetstream().views.kv("micro-config");
    const value = JSON.stringify({ text: "x".repeat(100), list: [1, 2, 3] });
    const put = async (count: number, part: string) => {
      for (let at = 0; at < count; at += 100)
        await Promise.all(
          Array.from({ length: 100 }, (_, index) =>
            bucket.put(`group${(at + index) % 50}.key${(at + index) % keys}`, `${part}${value}`),
          ),
        );
    };
    await put(keys, "");
    await target.perform(`config ${server.url}`);
    await target.reset();
    await put(writes, " ");
    target.count(writes * value.length);
    await target.usage();
    await connection.close();
  },
};
