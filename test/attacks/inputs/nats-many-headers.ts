import { once } from "node:events";
import { connect } from "node:net";
import { startNats } from "../../../drivers/nats/test/server.ts";
import type { Attack } from "../attack.ts";
import { missingNats } from "../wire/nats-setup.ts";

const keys = 60_000;
const events = 3;

export const attack: Attack = {
  protocol: "NATS",
  description: "events on core NATS with 60,000 header keys",
  bounds: { cpuMsPerMB: 1_000, heldPerByte: 16 },
  setup: new URL("../wire/nats-setup.ts", import.meta.url),
  missing: missingNats,
  async run(target) {
    await using server = await startNats();
    await target.perform(`events ${server.url}`);
    const header = `NATS/1.0\r\n${Array.from({ length: keys }, (_, key) => `k${key}:v\r\n`).join("")}\r\n`;
    const event = `HPUB news ${header.length} ${header.length + 1}\r\n${header}v\r\n`;
    const socket = connect(server.port, "127.0.0.1");
    target.watch(socket);
    await once(socket, "connect");
    socket.write(`CONNECT {"verbose":false,"headers":true}\r\n${event.repeat(events)}PING\r\n`);
    // The server has taken everything when it answers the PING.
    for await (const chunk of socket) if (String(chunk).includes("PONG")) break;
    await target.usage();
  },
};
