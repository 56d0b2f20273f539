import type { Attack } from "../attack.ts";
import { goMicroHead, httpHead } from "../wire/http1.ts";
import { checkOthersAreServed, holdJson } from "../wire/occupy.ts";

const lines = ["Content-Type: application/json", `Content-Length: ${holdJson.length}`];

export const attack: Attack = {
  protocol: "go-micro",
  description:
    "2,000 calls that take long, pipelined behind a request of HTTP/1.1 on one connection",
  // What Node and connect-node make of a request, of which one turn may parse a thousand.
  bounds: { cpuMsPerMB: 20_000, heldPerByte: 400, stallMs: 2_500 },
  async run(target) {
    const connection = await target.connect();
    // go-micro's own connections have eight calls at work at most.
    const first = `${httpHead("Say", ...lines)}${holdJson}`;
    await connection.write(first + `${goMicroHead("Hold", ...lines)}${holdJson}`.repeat(2_000));
    await checkOthersAreServed(target);
  },
};
