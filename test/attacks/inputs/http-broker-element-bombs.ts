import type { Attack } from "../attack.ts";
import type { BrokerDetails } from "../wire/broker-setup.ts";
import { sizedBombs } from "../wire/element-bombs.ts";

export const attack: Attack = {
  protocol: "HTTP broker",
  description: "events of 3 MB that become millions of objects",
  bounds: { cpuMsPerMB: 80, heldPerByte: 4 },
  environment: { MICRO_BROKER: "http", MICRO_BROKER_ADDRESS: "127.0.0.1:0" },
  setup: new URL("../wire/typed-events-setup.ts", import.meta.url),
  async run(target) {
    const { port, id } = target.details as BrokerDetails;
    const publish = async (message: Buffer) => {
      const header = { "Micro-Topic": "news", "Content-Type": "application/protobuf" };
      const body = JSON.stringify({ Header: header, Body: message.toString("base64") });
      const connection = await target.connect(port);
      connection.keepResponses();
      await connection.write(
        `POST /?id=${id} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`,
      );
      await connection.write(body, 10_000);
      await connection.closed;
      const [line = ""] = connection.received.toString("latin1").split("\r\n");
      if (!line.includes(" 200 ")) throw new Error(`an event was answered with ${line}`);
    };
    for (const bomb of Object.values(sizedBombs)) await publish(bomb(3_000_000));
    await publish(Buffer.alloc(0));
    await target.perform("handled");
  },
};
