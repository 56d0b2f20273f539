import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { LogFields, Logger } from "../../base/logger.ts";
import type { Node } from "../registry.ts";
import { Keyring } from "./keyring.ts";
import { type GossipRegistry, type GossipRegistryOptions, gossipRegistry } from "./registry.ts";

const opened: GossipRegistry[] = [];
afterEach(async () => {
  for (const registry of opened.splice(0)) await registry.close();
});

const key = () => randomBytes(32).toString("base64");

function open(options: GossipRegistryOptions): GossipRegistry {
  const registry = gossipRegistry({ bind: "127.0.0.1:0", joinTimeoutMs: 0, ...options });
  opened.push(registry);
  return registry;
}

async function pair(
  options: GossipRegistryOptions,
): Promise<readonly [GossipRegistry, GossipRegistry]> {
  const one = open({ seeds: ["127.0.0.1:1"], ...options });
  await one.list();
  const other = open({ seeds: [one.address ?? ""], ...options, joinTimeoutMs: 10_000 });
  await other.list();
  return [one, other];
}

function node(id: string, part: Partial<Node> = {}): Node {
  const rest = { service: "greeter", version: "1", address: "127.0.0.1:9000" };
  return { id, ...rest, metadata: {}, endpoints: [], ...part };
}

const ids = async (registry: GossipRegistry) =>
  (await registry.get("greeter")).map(({ id }) => id).sort();

function recording(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const log = (_fields: LogFields, message: string) => void lines.push(message);
  return { lines, debug: log, info: log, warn: log, error: log };
}

describe("options", () => {
  test.each<[string, GossipRegistryOptions, RegExp]>([
    ["no key beyond loopback", { seeds: ["10.0.0.5"] }, /without a key.*MICRO_GOSSIP_KEY/],
    ["no key on all addresses", { bind: "0.0.0.0:7946" }, /without a key/],
    ["a passphrase", { seeds: ["10.0.0.5"], key: "secret" }, /32 random bytes/],
    ["a key and insecure", { key: key(), insecure: true }, /remove one/],
    ["a seed with a scheme", { seeds: ["udp://a:1"] }, /seeds takes host:port/],
    ["a name to bind", { bind: "localhost:1" }, /bind must be an IP address/],
    ["a seed on all addresses", { seeds: ["0.0.0.0:7946"], key: key() }, /seed is the address/],
    ["a seed on all IPv6 addresses", { seeds: ["[::]"], key: key() }, /seed is the address/],
    ["IPv6 without brackets", { seeds: ["fd00::1"], key: key() }, /seeds takes host:port/],
    ["port 0 of a seed", { seeds: ["10.0.0.5:0"], key: key() }, /seeds takes host:port/],
    ["a port to bind alone", { bind: ":7946", key: key() }, /bind takes host:port/],
    ["to advertise all addresses", { advertise: "0.0.0.0", key: key() }, /others cannot reach/],
    ["to advertise a URL", { advertise: "udp://a", key: key() }, /advertise takes host:port/],
    ["an unknown profile", { profile: "moon" as "lan" }, /profile must be one of/],
    ["a missing key file", { keyFile: "/nonexistent/key" }, /cannot read the key file/],
  ])("refuse %s", (_what, options, message) => {
    expect(() => gossipRegistry(options)).toThrow(message);
  });

  test("never show a key", () => {
    const secret = "not-a-key-but-secret";
    try {
      gossipRegistry({ key: secret, bind: "0.0.0.0:1" });
    } catch (error) {
      expect(String(error)).not.toContain(secret);
    }
  });

  test("need no key with insecure", () => {
    opened.push(gossipRegistry({ seeds: ["10.0.0.5"], insecure: true }));
  });
});

const withoutIpv6 = !Object.values(networkInterfaces()).some((infos) =>
  infos?.some(({ address }) => address === "::1"),
);

describe("members", () => {
  test.skipIf(withoutIpv6)("find each other by IPv6", async () => {
    const [one, other] = await pair({ bind: "[::1]:0" });
    expect(one.address).toMatch(/^\[(?:0:){7}1\]:\d+$|^\[::1\]:\d+$/);
    await one.register(node("one", { address: "[::1]:9000" }));
    await expect.poll(() => ids(other)).toEqual(["one"]);
    expect([one.stats.members, one.state]).toEqual([2, "healthy"]);
  });

  test.skipIf(withoutIpv6)("listen by default where the seeds are", async () => {
    const registry = gossipRegistry({ seeds: ["[::1]:1"], joinTimeoutMs: 0 });
    opened.push(registry);
    await registry.list();
    expect(registry.address).toContain("[");
  });

  test("that listen on all addresses are reached at the advertised one", async () => {
    const secret = key();
    const wide = open({ bind: "0.0.0.0:0", advertise: "127.0.0.1", key: secret });
    await wide.register(node("wide"));
    expect(wide.address).toMatch(/^127\.0\.0\.1:\d+$/);
    const seeds = [wide.address ?? ""];
    const other = open({ seeds, key: secret, joinTimeoutMs: 10_000 });
    await expect.poll(() => ids(other)).toEqual(["wide"]);
    await other.register(node("other"));
    await expect.poll(() => ids(wide)).toEqual(["other", "wide"]);
  });

  test.skipIf(withoutIpv6)("by IPv4 reach one that listens on all IPv6 addresses", async () => {
    const secret = key();
    const wide = open({ bind: "[::]:0", advertise: "127.0.0.1", key: secret });
    await wide.register(node("wide"));
    const other = open({ seeds: [wide.address ?? ""], key: secret, joinTimeoutMs: 10_000 });
    await other.register(node("other"));
    await expect.poll(() => ids(other)).toEqual(["other", "wide"]);
    await expect.poll(() => ids(wide)).toEqual(["other", "wide"]);
  });

  test("say of each seed why it cannot be reached", async () => {
    const one = open({ seeds: ["127.0.0.1:1"], key: key() });
    const reasons: string[] = [];
    await one.list();
    const seeds = ["127.0.0.1:1", one.address ?? "", "no..name"];
    const other = open({ seeds, key: key() });
    other.onStateChange((_state, reason) => reasons.push(reason?.message ?? ""));
    await other.list();
    expect(reasons.at(-1)).toMatch(/127\.0\.0\.1:1 refuses connections/);
    expect(reasons.at(-1)).toContain(`${one.address} ends connections`);
    expect(reasons.at(-1)).toContain("no..name does not resolve");
  });

  test("with different keys do not see each other, and log it once", async () => {
    const logger = recording();
    const one = open({ seeds: ["127.0.0.1:1"], key: key(), logger });
    await one.register(node("one"));
    const other = open({ seeds: [one.address ?? ""], key: key() });
    await other.register(node("other"));
    await expect.poll(() => one.stats.foreignKey).toBeGreaterThan(1);
    expect(await ids(one)).toEqual(["one"]);
    expect(await ids(other)).toEqual(["other"]);
    expect(other.state).toBe("degraded");
    expect(logger.lines.filter((line) => line.includes("does not have"))).toHaveLength(1);
  });

  test("find a seed that starts later", async () => {
    const first = open({ seeds: ["127.0.0.1:1"] });
    await first.register(node("a"));
    const { address = "" } = first;
    await first.close();
    const second = open({ seeds: [address] });
    await second.register(node("b"));
    expect(second.state).toBe("degraded");
    const third = open({ seeds: [], bind: address });
    await third.register(node("c"));
    await expect.poll(() => ids(third)).toEqual(["b", "c"]);
    await expect.poll(() => second.state).toBe("healthy");
  });

  test("are found by a DNS name", async () => {
    const one = open({ seeds: ["127.0.0.1:1"] });
    await one.register(node("one"));
    const port = one.address?.split(":")[1];
    const other = open({ seeds: [`localhost:${port}`], joinTimeoutMs: 10_000 });
    await expect.poll(() => ids(other)).toEqual(["one"]);
  });

  test("of one machine share the default port, one after the other", async () => {
    const one = gossipRegistry();
    const other = gossipRegistry();
    opened.push(one, other);
    await one.register(node("one"));
    await expect.poll(() => ids(other)).toEqual(["one"]);
    expect(one.address).not.toBe(other.address);
  });

  test("keep all nodes while the keys in their files rotate", async () => {
    const folder = mkdtempSync(join(tmpdir(), "micro-es-gossip-"));
    const files = ["a", "b"].map((name) => join(folder, name));
    const [old, next] = [key(), key()];
    try {
      for (const file of files) writeFileSync(file, `${old}\n`);
      const one = open({ seeds: ["127.0.0.1:1"], keyFile: files[0]! });
      await one.register(node("one"));
      const other = open({
        seeds: [one.address ?? ""],
        keyFile: files[1]!,
        joinTimeoutMs: 10_000,
      });
      await other.register(node("other"));
      const removed: string[] = [];
      for (const registry of [one, other]) {
        void (async () => {
          for await (const event of registry.watch("greeter")) {
            if (event.type === "removed") removed.push(event.node.id);
          }
        })();
      }
      for (const keys of [[old, next], [next, old], [next]]) {
        for (const file of files) writeFileSync(file, `# keys\n${keys.join("\n")}\n`);
        const used = new Keyring(keys).ids;
        expect([one.stats.members, other.stats.members]).toEqual([2, 2]);
        await expect.poll(() => [one.stats.keys, other.stats.keys]).toEqual([used, used]);
      }
      await one.register(node("late"));
      await expect.poll(() => ids(other)).toEqual(["late", "one", "other"]);
      expect(removed).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }, 60_000);

  test("refuse nodes that only another machine reaches, and memory addresses", async () => {
    const [one] = await pair({});
    await expect(one.register(node("m", { address: "memory:m" }))).rejects.toThrow(
      /memoryRegistry/,
    );
    const strict = open({
      seeds: [one.address ?? ""],
      allowAddress: () => false,
      joinTimeoutMs: 10_000,
    });
    await strict.list();
    await one.register(node("one"));
    await expect.poll(() => strict.stats.refusedRecords).toBeGreaterThan(0);
    expect(await ids(strict)).toEqual([]);
  });
});

describe("strangers", () => {
  test("cannot end a member by datagrams, and get no reply", async () => {
    const [one, other] = await pair({ key: key() });
    await other.register(node("other"));
    const port = Number(one.address?.split(":")[1]);
    const socket = createSocket("udp4");
    let replies = 0;
    socket.on("message", () => replies++);
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    for (let at = 0; at < 2_000; at++) {
      const packet = randomBytes(1 + Math.floor(Math.random() * 1_400));
      if (at % 2 === 0) packet[0] = 0xa7;
      await new Promise((resolve) => socket.send(packet, port, "127.0.0.1", resolve));
    }
    await expect.poll(() => one.stats.malformed + one.stats.foreignKey).toBeGreaterThan(50);
    expect(await ids(one)).toEqual(["other"]);
    expect(replies).toBe(0);
    socket.close();
  });

  test("cannot keep connections from members", async () => {
    const [one] = await pair({ key: key() });
    const port = Number(one.address?.split(":")[1]);
    const sockets: Socket[] = [];
    for (let at = 0; at < 100; at++) {
      const socket = connect({ port, host: "127.0.0.1" });
      socket.on("error", () => {});
      sockets.push(socket);
    }
    await expect.poll(() => one.stats.refusedConnections).toBeGreaterThanOrEqual(36);
    // Those that stay are closed after three seconds.
    await expect.poll(() => sockets.every(({ closed }) => closed)).toBe(true);
    await one.register(node("one"));
    for (const socket of sockets) socket.destroy();
  });

  test("are cut off when they send anything but the protocol", async () => {
    const [one] = await pair({ key: key() });
    const port = Number(one.address?.split(":")[1]);
    const socket = connect({ port, host: "127.0.0.1" });
    socket.on("error", () => {});
    let received = 0;
    socket.on("data", (bytes) => {
      received += bytes.length;
    });
    socket.write("GET / HTTP/1.1\r\nHost: example\r\n\r\n");
    await expect.poll(() => socket.closed).toBe(true);
    expect(received).toBe(0);
    expect(one.stats.malformed).toBe(1);
  });
});
