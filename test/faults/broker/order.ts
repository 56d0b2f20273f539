import { countInversions, type KeyedEvent } from "../check-order.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import { brokerAt, type StartBrokerServer } from "./backend.ts";

/**
 * Three members of a group handle events of many keys, and one handling in twenty fails.
 * @param shortForm keys, and events of each, in the short form.
 */
export async function keysKeepOrder(
  startServer: StartBrokerServer,
  length: Length,
  shortForm: readonly [keys: number, each: number] = [100, 40],
): Promise<Figure> {
  const [keys, each] = length === "long" ? [100, 1_000] : shortForm;
  await using server = await startServer();
  const found: string[] = [];
  let holds = true;
  let failures = 0;
  for (const ordering of ["key", "none"] as const) {
    const make = () => brokerAt(server.url, { fleet: `ORDER_${ordering}`, ordering });
    await using stack = { members: [make(), make(), make()], [Symbol.asyncDispose]: close };
    async function close(this: { members: ReturnType<typeof make>[] }) {
      for (const member of this.members) await member.close();
    }
    const handled: KeyedEvent[] = [];
    const failed = new Set<string>();
    for (const member of stack.members) {
      await member.subscribe(
        "work",
        (event) => {
          const sequence = Number(event.id.split("-")[1]);
          if (sequence % 20 === 10 && !failed.has(event.id)) {
            failed.add(event.id);
            throw new Error("once");
          }
          handled.push({ key: event.key ?? "", sequence });
        },
        { queue: "workers", redeliveryBackoffMs: 5 },
      );
    }
    const [publisher] = stack.members;
    const publishKey = async (key: number) => {
      for (let sequence = 0; sequence < each; sequence++) {
        const id = `${key}-${sequence}`;
        const body = Buffer.from(id);
        const event = { id, key: `key ${key}`, body, contentType: "text/plain", typeName: "" };
        await publisher?.publish("work", event);
      }
    };
    await Promise.all(Array.from({ length: keys }, (_, key) => publishKey(key)));
    await until(() => handled.length >= keys * each, 300_000, 50);
    const inversions = countInversions(handled);
    failures += failed.size;
    found.push(`${inversions} inversions with ordering: ${ordering}`);
    const sound = handled.length === keys * each && failed.size > 0;
    holds &&= sound && (ordering === "key" ? inversions === 0 : inversions > 0);
  }
  return {
    id: "B11",
    recipe: `${each} events of each of ${keys} keys, three members, ${failures} attempts failed`,
    found: found.join(", "),
    bound: "0 with key, more without (the faults take effect)",
    holds,
  };
}
