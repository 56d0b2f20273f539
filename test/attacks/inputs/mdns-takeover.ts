import { setTimeout as sleep } from "node:timers/promises";
import { mdnsRegistry } from "@micro-es/runtime";
import type { Attack } from "../attack.ts";
import { announcement, LinkPeer, mdnsEnvironment, mdnsOptions, recordText } from "../wire/mdns.ts";

export const attack: Attack = {
  protocol: "mDNS",
  description: "records with a higher revision, and goodbyes, for the node of the target",
  bounds: { cpuMsPerMB: 5_000, heldPerByte: 16 },
  environment: mdnsEnvironment,
  async run(target) {
    const found = async () => {
      await using registry = mdnsRegistry(mdnsOptions);
      const nodes = await registry.get("target");
      return nodes.find(({ address }) => address.endsWith(`:${target.port}`));
    };
    const findable = async (after: string) => {
      for (let left = 10; left > 0; left--) {
        const node = await found();
        if (node !== undefined) return node;
        await sleep(300);
      }
      throw new Error(`the target is not found any more after ${after}`);
    };
    await using peer = await LinkPeer.join(target);
    for (const [what, revision, ttlSeconds] of [
      ["a record from the far future", 9e15, 120],
      ["a record with a higher revision", Date.now() + 60_000, 120],
      ["a goodbye", Date.now() + 120_000, 0],
    ] as const) {
      const { id } = await findable("its start");
      const record = { id, port: 6_666, text: recordText(revision), ttlSeconds };
      await peer.send([announcement(record)]);
      await findable(what);
    }
  },
};
