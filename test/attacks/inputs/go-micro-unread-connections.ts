import type { Attack } from "../attack.ts";
import { goMicroHead } from "../wire/http1.ts";
import { varintField } from "../wire/protobuf.ts";
import { settled } from "../wire/settled.ts";

const connections = 60;
const calls = 8;
const body = varintField(1, 3 << 20);

export const attack: Attack = {
  protocol: "go-micro",
  description: "8 calls for responses of 3 MiB on each of 60 connections, none of which is read",
  // All connections hold 512 MiB together, and each one response. One turn may serve all
  // connections.
  bounds: { cpuMsPerMB: 75_000, heldPerByte: 9_500, stallMs: 3_000 },
  async run(target) {
    const head = goMicroHead(
      "Big",
      "Content-Type: application/protobuf",
      `Content-Length: ${body.length}`,
    );
    const request = Buffer.concat([Buffer.from(head), body]);
    const requests = Buffer.concat(Array.from({ length: calls }, () => request));
    for (let count = 0; count < connections; count++) {
      const connection = await target.connect();
      connection.ignoreResponses();
      await connection.write(requests);
    }
    await settled(target);
  },
};
