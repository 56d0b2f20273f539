import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/*
 * An issuer's server of its key set: sends the file of its first argument at the port of the
 * second. The messages `slow` and `fast` say how.
 */
const [file = "", port = ""] = process.argv.slice(2);
let delayMs = 0;
const server = createServer(async (_request, response) => {
  await sleep(delayMs);
  response.setHeader("content-type", "application/json");
  response.end(readFileSync(file));
});
process.on("message", (message) => {
  delayMs = message === "slow" ? 2_000 : 0;
});
process.once("disconnect", () => process.exit());
server.listen(Number(port), "127.0.0.1", () => {
  process.send?.({ listening: server.address() });
});
