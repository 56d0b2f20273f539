import { connect, headers as makeHeaders } from "nats";
import { startNats } from "../../../drivers/nats/test/server.ts";
import type { Attack } from "../attack.ts";
import { sizedBombs } from "../wire/element-bombs.ts";
import { missingNats } from "../wire/nats-setup.ts";

export const attack: Attack = {
  protocol: "NATS",
  description: "events of 1 MB that become millions of objects",
  // Of 1 MB, unknown groups are just within the limit, and are decoded.
  bounds: { cpuMsPerMB: 180, heldPerByte: 4 },
  setup: new URL("../wire/typed-events-setup.ts", import.meta.url),
  missing: missingNats,
  async run(target) {
    await using server = await startNats();
    await target.perform(`nats ${server.url}`);
    const connection = await connect({ servers: server.url });
    const headers = makeHeaders();
    headers.set("Content-Type", "application/protobuf");
    const publish = async (message: Buffer) => {
      connection.publish("news", message, { headers });
      target.count(message.length);
      await connection.flush();
    };
    for (let round = 0; round < 3; round++) {
      for (const bomb of Object.values(sizedBombs)) await publish(bomb(1_000_000));
    }
    await publish(Buffer.alloc(0));
    await target.perform("handled");
    await target.usage();
    await connection.close();
  },
};
