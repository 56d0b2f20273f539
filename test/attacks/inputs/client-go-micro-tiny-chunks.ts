import type { Attack } from "../attack.ts";
import { hostileServer } from "../wire/hostile-server.ts";

const count = 400_000;

export const attack: Attack = {
  protocol: "client: go-micro",
  description: "response of a server in chunks of one byte",
  // One turn may read all of the chunks, of which 2.4 MB have arrived: 283 ms on an idle machine.
  bounds: { cpuMsPerMB: 1_500, heldPerByte: 3, stallMs: 850 },
  async run(target) {
    const { address } = await hostileServer(target, (socket) => {
      socket.once("data", async () => {
        const head = ["HTTP/1.1 200 OK", "Content-Type: application/protobuf"];
        socket.write(`${head.join("\r\n")}\r\nTransfer-Encoding: chunked\r\n\r\n`);
        const message = Buffer.concat([
          Buffer.from([0x0a, 0xfc, 0xb4, 0x18]),
          Buffer.alloc(count - 4, "a"),
        ]);
        for (let at = 0; at < message.length && socket.writable; at += 20) {
          const chunks = Array.from(message.subarray(at, at + 20), (byte) =>
            Buffer.concat([Buffer.from("1\r\n"), Buffer.of(byte), Buffer.from("\r\n")]),
          );
          socket.write(Buffer.concat(chunks));
          await new Promise(setImmediate);
        }
        socket.write("0\r\n\r\n");
      });
    });
    const { code, message } = await target.call({
      method: "say",
      address: `mucp://${address}`,
      timeoutMs: 60_000,
    });
    if (code !== "ok") throw new Error(`the call ended with ${code}: ${message}`);
  },
};
