import type { Attack } from "../attack.ts";
import { httpHead } from "../wire/http1.ts";
import { varintField } from "../wire/protobuf.ts";
import { settled } from "../wire/settled.ts";

const connections = 40;
const calls = 64;
const body = varintField(1, 1 << 20);

export const attack: Attack = {
  protocol: "HTTP/1.1",
  description: "64 calls for responses of 1 MiB on each of 40 connections, none of which is read",
  // All connections hold 512 MiB together, and each 1 MiB.
  bounds: { cpuMsPerMB: 30_000, heldPerByte: 2_000, stallMs: 2_500 },
  async run(target) {
    const head = httpHead(
      "Big",
      "Content-Type: application/proto",
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
