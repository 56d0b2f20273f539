import type { Attack } from "../attack.ts";
import { httpHead } from "../wire/http1.ts";

const count = 120_000;

export const attack: Attack = {
  protocol: "HTTP/1.1",
  description: "Connect request in chunks of one byte, each in a segment of its own",
  // Node hands over each segment by itself, so that the cost of one byte is that of one event, and
  // parses what has arrived meanwhile in one turn.
  bounds: { cpuMsPerMB: 8_000, heldPerByte: 8, stallMs: 1_200 },
  async run(target) {
    const connection = await target.connect();
    connection.keepResponses();
    const head = httpHead("Say", "Content-Type: application/json", "Transfer-Encoding: chunked");
    await connection.write(`${head}1\r\n{\r\n`);
    await connection.drip("1\r\n \r\n", count, 20_000);
    await connection.write('9\r\n"name":""\r\n1\r\n}\r\n0\r\n\r\n');
    const until = performance.now() + 20_000;
    while (connection.isOpen && !connection.received.includes("\r\n\r\n")) {
      if (performance.now() > until) throw new Error("the request was not served");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  },
};
