import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@micro-es/runtime";
import { createGreeterClient } from "./gen/greeter/v1/greeter_micro.ts";

const client = createClient();
const greeter = createGreeterClient(client);

function print(line: string): void {
  console.log(`  ${line}`);
}

/** Calls `hello` so many times, four at once, and counts the responses of each server. */
async function greet(calls: number, pauseMs = 0, onResponse?: (responses: number) => void) {
  const spread: Record<string, number> = {};
  let [begun, succeeded, failed] = [0, 0, 0];
  const caller = async () => {
    while (begun < calls) {
      const name = `guest ${++begun}`;
      try {
        const { server } = await greeter.hello({ name });
        spread[server] = (spread[server] ?? 0) + 1;
        onResponse?.(++succeeded);
      } catch (error) {
        failed++;
        print(`greeting ${name} failed: ${error instanceof Error ? error.message : String(error)}`);
      }
      await sleep(pauseMs);
    }
  };
  await Promise.all([caller(), caller(), caller(), caller()]);
  return { spread, succeeded, failed };
}

function inWords(spread: Record<string, number>): string {
  const parts = Object.entries(spread).sort();
  return parts.map(([server, count]) => `${server} handled ${count}`).join(", ");
}

const { message, server } = await greeter.hello({ name: "Ada" });
print(`unary             "${message}", says ${server}`);

const ticks: number[] = [];
for await (const { number } of greeter.watch({ count: 3, interval: { nanos: 20_000_000 } }))
  ticks.push(number);
print(`server streaming  ticks ${ticks.join(", ")}`);

const crowd = await greeter.upload([{ name: "Ada" }, { name: "Grace" }, { name: "Barbara" }]);
print(`client streaming  "${crowd.message}"`);

const lines: string[] = [];
for await (const { text } of greeter.chat([{ text: "one" }, { text: "two" }])) lines.push(text);
print(`bidirectional     ${lines.join(" ")}`);

const calm = await greet(100);
print(`100 more calls    ${inWords(calm.spread)}`);

// The demo starts this file with an IPC channel; started by hand, the program ends here.
if (process.send === undefined) {
  await client.close();
} else {
  process.on("message", async (question) => {
    if (question === "spread?") process.send?.({ spread: calm.spread });
    if (question !== "more") return;
    const stormy = await greet(200, 5, (responses) => {
      if (responses === 50) process.send?.({ halfway: true });
    });
    print(`200 calls         ${inWords(stormy.spread)}, ${stormy.failed} failed`);
    process.send?.({ survived: { succeeded: stormy.succeeded, failed: stormy.failed } });
    await client.close();
    process.disconnect();
  });
  process.send({ calls: 101 });
}
