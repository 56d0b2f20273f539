import { describe, expect, test } from "vitest";
import { Announcer } from "./announcer.ts";
import { toInstance } from "./instance.ts";
import type { MulticastLink, PacketSource } from "./link.ts";
import { encodeQuery } from "./packet.ts";
import { decodePacket } from "./read-packet.ts";
import { newCounters } from "./stats.ts";

// A node that only this machine can reach is not announced to others.

const thisMachine: PacketSource = { host: "10.0.0.1", port: 5_000, local: true };
const another: PacketSource = { host: "10.0.0.2", port: 5_000, local: false };
const domain = "micro";

/**
 * An announcer of one node, with the packets it multicasts, their destinations, and its replies.
 */
async function announcerOf(address: string) {
  const multicasts: ("link" | "machine")[] = [];
  const answers: string[] = [];
  const link = {
    multicast: async (_packet: Uint8Array, local = false) => {
      multicasts.push(local ? "machine" : "link");
    },
    unicast: (_packet: Uint8Array, _port: number, host: string) => void answers.push(host),
  };
  const announcer = new Announcer(link as unknown as MulticastLink, domain, newCounters());
  const node = { id: "a", service: "greeter", version: "1", address, metadata: {}, endpoints: [] };
  const lease = { ttlMs: 15_000, revision: 1, onTakenOver: undefined };
  const record = await announcer.add(node, await toInstance(node, domain, lease), lease);
  const ask = (name: string, type: "PTR" | "ANY", source: PacketSource) => {
    const query = decodePacket(encodeQuery(name, type, 1));
    if (query.kind !== "query") throw new Error("not a query");
    announcer.answer(query, source);
    return answers.splice(0);
  };
  return { announcer, record, multicasts, ask };
}

const questions = [
  ["a service", "greeter.micro", "PTR"],
  ["the list of services", "_services.micro", "PTR"],
  ["a node", "a.greeter.micro", "ANY"],
] as const;

describe.each(["127.0.0.1:8080", "[::1]:8080", "unix:/run/greeter.sock"])("a node at %s", (at) => {
  test("is announced, probed and withdrawn on this machine alone", async () => {
    const { announcer, record, multicasts } = await announcerOf(at);
    await announcer.remove(record);
    expect(new Set(multicasts)).toEqual(new Set(["machine"]));
    expect(multicasts).toHaveLength(4);
  });

  test.each(questions)("is reported to queries for %s from this machine", async (_, name, type) => {
    const { ask } = await announcerOf(at);
    expect(ask(name, type, thisMachine)).toEqual([thisMachine.host]);
    expect(ask(name, type, another)).toEqual([]);
  });
});

describe("a node that other machines reach", () => {
  test("is announced to all", async () => {
    const { multicasts } = await announcerOf("10.0.0.1:8080");
    expect(new Set(multicasts)).toEqual(new Set(["link"]));
  });

  test.each(questions)("is reported to all queries for %s", async (_, name, type) => {
    const { ask } = await announcerOf("10.0.0.1:8080");
    expect(ask(name, type, another)).toEqual([another.host]);
  });
});
