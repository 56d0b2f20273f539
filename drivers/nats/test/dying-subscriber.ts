import { jetstreamBroker } from "@micro-es/nats";
import { silentLogger } from "@micro-es/runtime";

/**
 * A member of a queue group whose process dies of the first event, so many milliseconds after it
 * began to handle it.
 */
const { dieAfterMs, subscribe, ...options } = JSON.parse(process.argv[2] ?? "{}") as {
  servers: string;
  stream: string;
  prefix: string;
  ackWaitMs: number;
  dieAfterMs: number;
  subscribe: { queue: string; maxDeliveries: number };
};
const broker = jetstreamBroker({ ...options, logger: silentLogger });
process.stdout.write("ready\n");
await broker.subscribe(
  "topic",
  async (event) => {
    process.stdout.write(`attempt ${event.attempt}\n`);
    const die = () => process.kill(process.pid, "SIGKILL");
    if (dieAfterMs === 0) die();
    setTimeout(die, dieAfterMs);
    await new Promise(() => {});
  },
  subscribe,
);
