import type { Attack } from "../attack.ts";
import type { BrokerDetails } from "../wire/broker-setup.ts";

const chunks = Buffer.from("1\r\nA\r\n".repeat(10_000));

export const attack: Attack = {
  protocol: "HTTP broker",
  description: "event in chunks of one byte that does not end",
  bounds: { cpuMsPerMB: 900, heldPerByte: 3 },
  environment: { MICRO_BROKER: "http", MICRO_BROKER_ADDRESS: "127.0.0.1:0" },
  setup: new URL("../wire/broker-setup.ts", import.meta.url),
  async run(target) {
    const { port, id } = target.details as BrokerDetails;
    const connection = await target.connect(port);
    await connection.write(
      `POST /?id=${id} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    for (let sent = 0; sent < 100 && (await connection.write(chunks)); sent++);
  },
};
