import type { Attack } from "../attack.ts";
import { unknownBombs } from "../wire/element-bombs.ts";
import { hostileServer } from "../wire/hostile-server.ts";

export const attack: Attack = {
  protocol: "client: go-micro",
  description: "responses of 4 MiB each that become a million objects",
  bounds: { cpuMsPerMB: 60, heldPerByte: 6 },
  heapMB: 1_024,
  async run(target) {
    for (const bomb of Object.values(unknownBombs)) {
      const body = bomb();
      const { address } = await hostileServer(target, (socket) => {
        const head = [
          "HTTP/1.1 200 OK",
          "Content-Type: application/protobuf",
          `Content-Length: ${body.length}`,
        ];
        socket.once("data", () => {
          socket.write(`${head.join("\r\n")}\r\n\r\n`);
          socket.write(body);
        });
      });
      const { code, message } = await target.call({
        method: "say",
        address: `mucp://${address}`,
        timeoutMs: 20_000,
      });
      if (code !== "resource_exhausted") throw new Error(`a call ended with ${code}: ${message}`);
    }
  },
};
