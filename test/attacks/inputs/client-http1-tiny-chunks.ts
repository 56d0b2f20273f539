import type { Attack } from "../attack.ts";
import { hostileServer, writeSingly } from "../wire/hostile-server.ts";

const chunks = 60_000;
const setup = new URL("../wire/connect-client-setup.ts", import.meta.url);

export const attack: Attack = {
  protocol: "client: HTTP",
  description:
    "Connect response of a server over HTTP/1.1 in chunks of one byte, each in a segment of its own",
  bounds: { cpuMsPerMB: 8_000, heldPerByte: 8 },
  setup,
  async run(target) {
    const { address } = await hostileServer(target, (socket) => {
      socket.once("data", async () => {
        const head = ["HTTP/1.1 200 OK", "Content-Type: application/proto"];
        socket.write(`${head.join("\r\n")}\r\nTransfer-Encoding: chunked\r\n\r\n`);
        const message = Buffer.concat([
          Buffer.from([0x0a, 0xdc, 0xd4, 0x03]),
          Buffer.alloc(chunks - 4, "a"),
        ]);
        for (const byte of message) {
          if (!socket.writable) return;
          socket.write(Buffer.concat([Buffer.from("1\r\n"), Buffer.of(byte), Buffer.from("\r\n")]));
          await new Promise(setImmediate);
        }
        await writeSingly(socket, Buffer.from("0\r\n\r\n"));
      });
    });
    const { code, message } = await target.call({
      method: "say",
      address: `http://${address}`,
      timeoutMs: 60_000,
    });
    if (code !== "ok") throw new Error(`the call ended with ${code}: ${message}`);
  },
};
