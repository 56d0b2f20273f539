import type { Attack } from "../attack.ts";
import { goMicroHead, httpHead } from "../wire/http1.ts";

export const attack: Attack = {
  protocol: "HTTP/1.1",
  description: "a header line of 28,000 commas, each of which begins another value of metadata",
  bounds: { cpuMsPerMB: 600, heldPerByte: 8 },
  async run(target) {
    const values = `x-bin: ${",".repeat(28_000)}`;
    const body = [
      "Content-Type: application/json",
      "Content-Length: 2",
      values,
      "Connection: close",
    ];
    for (let sent = 0; sent < 40; sent++) {
      const connection = await target.connect();
      connection.keepResponses();
      const head = sent % 2 === 0 ? httpHead("Put", ...body) : goMicroHead("Put", ...body);
      await connection.write(`${head}{}`);
      await connection.closed;
      const response = connection.received.toString("latin1");
      if (!response.includes("more than 128 entries")) throw new Error(response.slice(0, 300));
    }
    if ((await target.usage()).puts > 0)
      throw new Error("a call with too much metadata was served");
  },
};
