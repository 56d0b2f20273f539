import { dnsRegistry } from "@micro-es/dns";
import { encode } from "dns-packet";
import { startConsul } from "../../../drivers/consul/test/server.ts";
import {
  type Query,
  responseTo,
  srv,
  startFakeServer,
} from "../../../drivers/dns/test/fake-server.ts";
import { freePort, startNsd, zone } from "../../../drivers/dns/test/server.ts";
import { mutate } from "../../fuzz/mutation.ts";
import { seededRandom } from "../../support/seeded-random.ts";
import type { Figure, Length } from "../figure.ts";

/** More nodes than fit into a response by UDP, and those of Consul, which says nothing of it. */
export async function partialResponses(length: Length): Promise<Figure> {
  const many = length === "long" ? 1_000 : 300;
  const lines = Array.from(
    { length: many },
    (_, n) => `_echo._tcp IN SRV 1 1 ${8_000 + n} n${n}\nn${n} IN A 10.0.${n >> 8}.${n & 255}`,
  );
  const found: number[] = [];
  {
    await using server = await startNsd(lines);
    await using registry = dnsRegistry({ domain: zone, servers: [server.address] });
    found.push((await registry.get("echo")).length);
  }
  const port = await freePort();
  await using consul = await startConsul({ dnsPort: port });
  for (let n = 0; n < 40; n++) {
    await fetch(`${consul.url}/v1/agent/service/register`, {
      method: "PUT",
      body: JSON.stringify({ Name: "echo", ID: `echo-${n}`, Address: `127.0.1.${n}`, Port: 80 }),
    });
  }
  await using registry = dnsRegistry({
    domain: "service.consul",
    servers: [`127.0.0.1:${port}`],
  });
  found.push((await registry.get("echo")).length);
  return {
    id: "N3",
    recipe: `${many} nodes in a zone, whose responses by UDP are truncated, and 40 in Consul`,
    found: `${found[0]} and ${found[1]} nodes`,
    bound: "all nodes",
    holds: found[0] === many && found[1] === 40,
  };
}

/** Before each response come forged ones: of another id or question, and malformed ones. */
export async function forgedResponses(length: Length): Promise<Figure> {
  const lookups = length === "long" ? 300 : 5;
  const forged = 200;
  const random = seededRandom(3);
  let sent = 0;
  let taken = 0;
  let polls = 0;
  await using server = await startFakeServer((query: Query) => {
    polls++;
    const lie = (id: number, name = query.name) =>
      responseTo(query, {
        id: id & 0xffff,
        questions: [{ name, type: "SRV", class: "IN" }],
        answers: [srv(name, "evil.shop.test", 66)],
        additionals: [{ type: "A", name: "evil.shop.test", ttl: 1, data: "10.66.66.66" }],
      });
    const id = query.packet.id ?? 0;
    // None of these ids is the right one.
    const others = Array.from({ length: forged / 4 }, (_, n) => lie(id + 1 + n));
    const questions = Array.from({ length: forged / 4 }, (_, n) => lie(id, `_e${n}._tcp.${zone}`));
    const malformed = Array.from({ length: forged / 2 }, () => {
      const bytes = Buffer.from(mutate(random, [encode(lie(id + 7))])).subarray(0, 1_200);
      if (bytes.length >= 2) bytes.writeUInt16BE((id + 7) & 0xffff, 0);
      return bytes;
    });
    const all = [...others, ...questions, ...malformed];
    sent += all.length;
    const answers = [srv(query.name, "a.shop.test", 80)];
    const additionals = [{ type: "A" as const, name: "a.shop.test", ttl: 1, data: "10.0.0.1" }];
    return [...all, responseTo(query, { answers, additionals })];
  });
  await using registry = dnsRegistry({ domain: zone, servers: [server.address] });
  await registry.get("echo");
  const controller = new AbortController();
  for await (const event of registry.watch("echo", controller)) {
    if (JSON.stringify(event).includes("10.66.66.66")) taken++;
    while (polls < lookups) {
      const nodes = await registry.get("echo");
      if (nodes.length !== 1 || nodes[0]?.address !== "10.0.0.1:80") taken++;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    controller.abort();
  }
  return {
    id: "N4",
    recipe: `${sent} forged and malformed responses before the right ones of ${polls} lookups`,
    found: `${taken} taken, state ${registry.state}`,
    bound: "0 taken, healthy",
    holds: taken === 0 && registry.state === "healthy" && sent > 0,
  };
}
