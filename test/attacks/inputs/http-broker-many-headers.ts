import type { Attack } from "../attack.ts";
import type { BrokerDetails } from "../wire/broker-setup.ts";

const entries = 60_000;

export const attack: Attack = {
  protocol: "HTTP broker",
  description:
    "events with 60,000 header entries, for a subscription that exists and one that does not",
  bounds: { cpuMsPerMB: 300, heldPerByte: 8 },
  environment: { MICRO_BROKER: "http", MICRO_BROKER_ADDRESS: "127.0.0.1:0" },
  setup: new URL("../wire/broker-setup.ts", import.meta.url),
  async run(target) {
    const { port, id } = target.details as BrokerDetails;
    const header = Array.from({ length: entries }, (_, index) => `"k${index}":"v"`).join(",");
    const body = `{"Header":{${header},"Micro-Topic":"news"},"Body":null}`;
    for (const [subscription, status] of [
      ["of-none", 404],
      [id, 413],
    ] as const) {
      const connection = await target.connect(port);
      connection.keepResponses();
      await connection.write(
        `POST /?id=${subscription} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`,
      );
      await connection.write(body);
      await connection.closed;
      // A refusal before the body has arrived may be lost with the connection.
      const [line = ""] = connection.received.toString("latin1").split("\r\n");
      if (line !== "" && !line.includes(` ${status} `))
        throw new Error(`status ${status} expected, got ${line}`);
    }
  },
};
