import type { Attack } from "../attack.ts";
import { httpHead } from "../wire/http1.ts";
import { checkOthersAreServed, holdJson } from "../wire/occupy.ts";

const lines = ["Content-Type: application/json", `Content-Length: ${holdJson.length}`];

export const attack: Attack = {
  protocol: "HTTP/1.1",
  description: "2,000 pipelined calls that take long, on one connection",
  // What Node and connect-node make of a request, of which one turn may parse a thousand.
  bounds: { cpuMsPerMB: 20_000, heldPerByte: 400, stallMs: 2_500 },
  async run(target) {
    const connection = await target.connect();
    await connection.write(`${httpHead("Hold", ...lines)}${holdJson}`.repeat(2_000));
    await checkOthersAreServed(target);
  },
};
