import { kafkaBroker } from "@micro-es/kafka";
import { silentLogger } from "@micro-es/runtime";

/** A member of a queue group whose process dies of each event that it begins to handle. */
const { subscribe, ...options } = JSON.parse(process.argv[2] ?? "{}") as {
  servers: string;
  prefix: string;
  sessionTimeoutMs: number;
  subscribe: { queue: string; maxDeliveries: number };
};
const broker = kafkaBroker({ ...options, logger: silentLogger });
process.stdout.write("ready\n");
await broker.subscribe(
  "topic",
  ({ attempt }) => {
    process.stdout.write(`attempt ${attempt}\n`);
    process.kill(process.pid, "SIGKILL");
  },
  subscribe,
);
