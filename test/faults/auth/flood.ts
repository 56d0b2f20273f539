import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient, memoryRegistry, tcpTransport } from "@micro-es/runtime";
import { createGuardedServiceClient } from "../../gen/micro/test/v1/guarded_micro.ts";

/*
 * Calls a method that needs an account on 100 connections at a rate: the address, the calls a
 * second, a token, whose signature is another one in each call, and the key of the metadata that
 * has it: with another key than `authorization` the calls are anonymous. The message `start`
 * begins, and `stop` tells how many calls ended in a second, and in all.
 */
const [address = "", perSecond = "", token = "", key = ""] = process.argv.slice(2);
const unsigned = token.slice(0, token.lastIndexOf(".") + 1);
/** The most calls that wait for a response on a connection. */
const maxOpen = 32;

const connections = Array.from({ length: 100 }, () => {
  const client = createClient({ registry: memoryRegistry(), transports: [tcpTransport()] });
  return { guarded: createGuardedServiceClient(client), open: 0 };
});
let running: NodeJS.Timeout | undefined;
let [began, calls, ended] = [0, 0, 0];

await Promise.all(connections.map(({ guarded }) => guarded.about({}, { address })));
process.send?.({ ready: true });
process.on("message", (message) => {
  if (message === "start") start();
  else void stop();
});
process.once("disconnect", () => process.exit());

function start(): void {
  [began, calls, ended] = [performance.now(), 0, 0];
  let due = 0;
  let last = began;
  running = setInterval(() => {
    const now = performance.now();
    // A machine that was too slow for a while does not make up for it.
    due += Math.min(now - last, 20) * (Number(perSecond) / 1_000);
    last = now;
    for (; calls < due; calls++) {
      const connection = connections[calls % connections.length]!;
      if (connection.open < maxOpen) void callOnce(connection);
    }
  }, 2);
}

async function callOnce(connection: (typeof connections)[number]): Promise<void> {
  const bad = `${unsigned}${randomBytes(64).toString("base64url")}`;
  const metadata = { [key]: `Bearer ${bad}` };
  connection.open++;
  await connection.guarded
    .delete({ document: "a" }, { address, metadata, retry: false, timeoutMs: 20_000 })
    .catch(() => undefined);
  connection.open--;
  ended++;
}

async function stop(): Promise<void> {
  clearInterval(running);
  const inTime = ended / ((performance.now() - began) / 1_000);
  while (connections.some(({ open }) => open > 0)) await sleep(5);
  process.send?.({ flooded: { perSecond: inTime, calls: ended } });
}
