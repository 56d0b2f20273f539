import { httpBroker, type MdnsRegistryOptions, mdnsRegistry } from "@micro-es/runtime";

/** A process that prints the events of a topic, a line each, and closes when its input ends. */
interface Start {
  readonly options: MdnsRegistryOptions;
  readonly topic: string;
  readonly queue?: string;
}

const { options, topic, queue } = JSON.parse(process.argv[2] ?? "{}") as Start;
const registry = mdnsRegistry(options);
const broker = httpBroker({ registry });
await broker.subscribe(
  topic,
  (event) => {
    process.stdout.write(`${Buffer.from(event.body)}\n`);
  },
  queue === undefined ? {} : { queue },
);
process.stdout.write("subscribed\n");
process.stdin.resume().once("end", async () => {
  await broker.close();
  await registry.close();
});
