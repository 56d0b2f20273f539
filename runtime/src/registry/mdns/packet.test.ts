import { deflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { Node } from "../registry.ts";
import { maxPacketBytes, toInstance, toListed, toNode } from "./instance.ts";
import {
  encodeAnnouncement,
  encodeAnswer,
  encodeGoodbye,
  encodeProbe,
  encodeQuery,
} from "./packet.ts";
import { decodePacket, type SeenInstance } from "./read-packet.ts";
import { decodeText, encodeText } from "./txt-record.ts";

const node: Node = {
  id: "greeter-1",
  service: "greeter",
  version: "1.0",
  address: "192.0.2.7:8080",
  metadata: { protocol: "mucp" },
  endpoints: [{ name: "Greeter.Hello", metadata: { stream: "true" } }],
};
const lease = { ttlMs: 15_000, revision: 7 };

/** A hand-written DNS name: each label preceded by its length. */
function name(text: string): Buffer {
  const labels = text.split(".").map((label) => [label.length, ...Buffer.from(label)]);
  return Buffer.from([...labels.flat(), 0]);
}

function u16(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, index * 2);
  return bytes;
}

/** A hand-written resource record of class IN. */
function record(owner: string, type: number, ttl: number, data: Buffer): Buffer {
  return Buffer.concat([name(owner), u16(type, 1, 0, ttl, data.length), data]);
}

function strings(hex: string): Buffer {
  const parts = hex.match(/.{1,255}/g) ?? [];
  return Buffer.concat(parts.map((part) => Buffer.from([part.length, ...Buffer.from(part)])));
}

/** The description a Go service publishes, with members in Go's order and nil values as null. */
const goText = strings(
  deflateSync(
    '{"Metadata":{"broker":"http","protocol":"mucp","registry":"mdns","server":"mucp","transport":"http"},"Service":"go.micro.srv.greeter","Version":"latest","Endpoints":[{"request":{"name":"Request","type":"Request","values":[{"name":"name","type":"string","values":null}]},"response":null,"metadata":{"stream":"true"},"name":"Say.Hello"},{"request":null,"response":null,"metadata":null,"name":"Sub"}]}',
  ).toString("hex"),
);

/** A reply as go-micro sends it, byte by byte: question repeated, then PTR, SRV, A, TXT. */
function goAnswer(ttl: number): Buffer {
  const service = "go.micro.srv.greeter.micro";
  const instance = `go.micro.srv.greeter-6f1c.${service}`;
  return Buffer.concat([
    u16(0, 0x8400, 1, 4, 0, 0),
    name(service),
    u16(12, 1),
    record(service, 12, ttl, name(instance)),
    record(instance, 33, ttl, Buffer.concat([u16(10, 1, 41_234), name("gohost")])),
    record("gohost", 1, ttl, Buffer.from([192, 0, 2, 9])),
    record(instance, 16, ttl, goText),
  ]);
}

function seen(bytes: Buffer): SeenInstance {
  const packet = decodePacket(bytes);
  if (packet.kind !== "response" || packet.seen[0] === undefined) throw new Error("no instance");
  return packet.seen[0];
}

describe("go-micro's mDNS records", () => {
  test("reads the response of a Go service", () => {
    const packet = decodePacket(goAnswer(120));
    expect(packet).toMatchObject({
      kind: "response",
      pointers: ["go.micro.srv.greeter-6f1c.go.micro.srv.greeter.micro"],
      seen: [{ port: 41_234, host: "192.0.2.9", alive: true }],
    });
    const instance = seen(goAnswer(120));
    const text = decodeText(instance.text);
    expect(text.marker).toBeUndefined();
    expect(toNode(instance, text, "micro")).toEqual({
      id: "go.micro.srv.greeter-6f1c",
      service: "go.micro.srv.greeter",
      version: "latest",
      address: "192.0.2.9:41234",
      metadata: {
        broker: "http",
        protocol: "mucp",
        registry: "mdns",
        server: "mucp",
        transport: "http",
      },
      endpoints: [
        { name: "Say.Hello", metadata: { stream: "true" } },
        { name: "Sub", metadata: {} },
      ],
    });
    expect(seen(goAnswer(0)).alive).toBe(false);
  });

  test("writes the reply that a Go client understands, byte by byte", async () => {
    const { instance } = await toInstance(node, "micro", lease);
    const target = instance.target;
    const question = { name: "greeter.micro", type: "PTR", unicast: false };
    const text = Buffer.concat(instance.text.map((part) => Buffer.from([part.length, ...part])));
    expect(encodeAnswer(instance, question, 0)).toEqual(
      Buffer.concat([
        u16(0, 0x8400, 1, 4, 0, 0),
        name("greeter.micro"),
        u16(12, 1),
        record("greeter.micro", 12, 120, name("greeter-1.greeter.micro")),
        record(
          "greeter-1.greeter.micro",
          33,
          120,
          Buffer.concat([u16(10, 1, 8_080), name(target)]),
        ),
        record(target, 1, 120, Buffer.from([192, 0, 2, 7])),
        record("greeter-1.greeter.micro", 16, 120, text),
      ]),
    );
  });

  test("writes the TXT record as zlib in hexadecimal strings of 255 with capitalised members", () => {
    const endpoints = Array.from({ length: 40 }, (_, index) => ({
      name: `Greeter.Method${index}-${Math.sin(index)}`,
      metadata: {},
    }));
    const parts = encodeText(node, endpoints, lease);
    expect(parts.length).toBeGreaterThan(2);
    expect(parts.slice(0, -1).every(({ length }) => length === 255)).toBe(true);
    const hex = Buffer.concat(parts).toString();
    expect(hex).toMatch(/^78[0-9a-f]+$/);
    const [first, ...rest] = decodeText(Buffer.from(hex)).endpoints;
    expect(first).toEqual(endpoints[0]);
    expect(rest.length).toBe(39);
  });

  test("announces SRV, A, TXT without a question or PTR, and says goodbye with the same at TTL 0", async () => {
    const { instance } = await toInstance(node, "micro", lease);
    const announcement = encodeAnnouncement(instance);
    expect(announcement.subarray(0, 12)).toEqual(u16(0, 0x8400, 0, 3, 0, 0));
    const goodbye = encodeGoodbye(instance);
    expect(goodbye.length).toBe(announcement.length);
    expect(seen(goodbye)).toMatchObject({ alive: false, port: 8_080 });
    expect(toNode(seen(announcement), decodeText(seen(announcement).text), "micro")).toEqual(node);
  });

  test("probes with a PTR question for the instance and its records as authorities", async () => {
    const { instance } = await toInstance(node, "micro", lease);
    const probe = encodeProbe(instance);
    expect(probe.subarray(0, 12)).toEqual(u16(0, 0, 1, 0, 2, 0));
    expect(decodePacket(probe)).toMatchObject({
      kind: "query",
      questions: [{ name: instance.name, type: "PTR" }],
    });
  });

  test("lists a service with port 9999, address 0.0.0.0 and an empty TXT record", () => {
    const question = { name: "_services.micro", type: "PTR", unicast: false };
    const packet = decodePacket(encodeAnswer(toListed("greeter", "micro"), question, 0));
    expect(packet).toMatchObject({
      pointers: ["greeter._services.micro"],
      seen: [{ port: 9_999, host: "0.0.0.0", text: Buffer.alloc(0) }],
    });
  });

  test("asks one question without recursion, and detects whether a unicast reply is requested", () => {
    const query = encodeQuery("greeter.micro", "PTR", 0x1234);
    expect(query).toEqual(
      Buffer.concat([u16(0x1234, 0, 1, 0, 0, 0), name("greeter.micro"), u16(12, 1)]),
    );
    const unicast = Buffer.from(query);
    unicast.writeUInt16BE(0x8001, unicast.length - 2);
    expect(decodePacket(unicast)).toMatchObject({ questions: [{ type: "PTR", unicast: true }] });
  });
});

describe("nodes as records", () => {
  const roundTrip = async (part: Partial<Node>): Promise<Node> => {
    const fitted = await toInstance({ ...node, ...part }, "micro", lease);
    expect(fitted.dropped).toBeUndefined();
    const instance = seen(encodeAnnouncement(fitted.instance));
    return toNode(instance, decodeText(instance.text), "micro");
  };

  test.each<Partial<Node>>([
    { address: "[2001:db8::7]:443" },
    { address: "unix:/run/greeter.sock" },
    { id: "with.dots.and/slash:colon" },
    { id: `${"long".repeat(30)}-1` },
    { id: "ends-with-a-dot." },
    { service: "go.micro.srv.greeter" },
    { metadata: { text: "é 𝄞" } },
  ])("come back unchanged: %j", async (part) => {
    expect(await roundTrip(part)).toEqual({ ...node, ...part });
  });

  test("resolve a host name, because records hold IP addresses", async () => {
    expect((await roundTrip({ address: "localhost:80" })).address).toMatch(
      /^(127\.0\.0\.1|\[::1\]):80$/,
    );
    await expect(
      toInstance({ ...node, address: "no-such-host.invalid:80" }, "micro", lease),
    ).rejects.toMatchObject({ code: "invalid_argument" });
  });

  test("are reduced to fit a packet: first the endpoints' long metadata, finally the endpoints", async () => {
    const noise = (length: number, seed: number) =>
      Array.from({ length }, (_, at) =>
        String.fromCharCode(33 + ((at * at * seed + at * 7919) % 90)),
      ).join("");
    const many = (count: number, length: number): Node => ({
      ...node,
      endpoints: Array.from({ length: count }, (_, index) => ({
        name: `E${index}-${noise(8, index + 3)}`,
        metadata: { description: noise(length, index + 1), topic: "t" },
      })),
    });
    const long = await toInstance(many(80, 600), "micro", lease);
    expect(long.dropped).toBe("long endpoint metadata");
    const text = decodeText(seen(encodeAnnouncement(long.instance)).text);
    expect(text.endpoints.length).toBe(80);
    expect(text.endpoints[0]?.metadata).toEqual({ topic: "t" });
    const most = await toInstance(many(1_000, 60), "micro", lease);
    expect(most.dropped).toMatch(/endpoint/);
    expect(encodeAnnouncement(most.instance).length).toBeLessThan(maxPacketBytes);
    const random = () => Math.random().toString(36);
    const metadata = Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [
        `k${index}`,
        Array.from({ length: 20 }, random).join(""),
      ]),
    );
    await expect(toInstance({ ...node, metadata }, "micro", lease)).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining("metadata does not fit"),
    });
  });

  test("cannot take the id of another node", async () => {
    const { instance } = await toInstance(node, "micro", lease);
    const text = encodeText(node, [], { ...lease, id: "victim" });
    const forged = seen(encodeAnnouncement({ ...instance, text }));
    expect(() => toNode(forged, decodeText(forged.text), "micro")).toThrow(/id of another/);
  });
});

test("a query lists the known records with at least half of their time left", () => {
  const known = ["a", "b"].map((instance, at) =>
    record("greeter.micro", 12, 60 - at, name(`${instance}.greeter.micro`)),
  );
  const query = Buffer.concat([u16(1, 0, 1, 2, 0, 0), name("greeter.micro"), u16(12, 1), ...known]);
  expect(decodePacket(query)).toMatchObject({ known: new Set(["a.greeter.micro"]) });
});

describe("malformed packets", () => {
  test("are refused with an error, whatever their bytes", () => {
    const packet = goAnswer(120);
    const decodes = (length: number) => {
      try {
        return decodePacket(packet.subarray(0, length)).kind;
      } catch {
        return undefined;
      }
    };
    for (let length = 0; length < packet.length; length++) {
      if (decodes(length) !== undefined) expect.fail(`the first ${length} bytes were accepted`);
    }
    for (let at = 0; at < packet.length; at++) {
      // After the names and counts the bytes are one long text, so a sample is enough.
      if (at > 200 && at % 7 !== 0) continue;
      for (const flip of [0x01, 0xc0, 0xff]) {
        const broken = Buffer.from(packet);
        broken[at] = (broken[at] ?? 0) ^ flip;
        try {
          const decoded = decodePacket(broken);
          if (decoded.kind === "response") {
            for (const each of decoded.seen) toNode(each, decodeText(each.text), "micro");
          }
        } catch (error) {
          if (!(error instanceof Error)) throw error;
        }
      }
    }
  });

  test("cannot cause excessive work: counts, pointer loops, compression bombs", () => {
    expect(() => decodePacket(u16(0, 0x8400, 65_535, 0, 0, 0))).toThrow(/questions/);
    expect(() => decodePacket(u16(0, 0x8400, 0, 65_535, 0, 0))).toThrow(/records/);
    const loop = Buffer.concat([u16(0, 0, 1, 0, 0, 0), Buffer.from([0xc0, 12]), u16(12, 1)]);
    expect(() => decodePacket(loop)).toThrow();
    // A chain in which each pointer points at the previous one, and many names that start at the
    // last one.
    const chain = u16(...Array.from({ length: 1_000 }, (_, at) => 0xc000 | (23 + 2 * (at - 1))));
    const text = Buffer.concat([Buffer.from([0]), u16(47, 1, 0, 120, chain.length), chain]);
    expect(() =>
      decodePacket(
        Buffer.concat([u16(0, 0x8400, 0, 2, 0, 0), text, u16(0xc000 | 1_000, 16, 1, 0, 0, 0)]),
      ),
    ).toThrow(/points on/);
    const wide = deflateSync(`{"Endpoints":[${"{},".repeat(20_000)}{}]}`).toString("hex");
    expect(() => decodeText(Buffer.from(wide))).toThrow();
    const bomb = deflateSync(Buffer.alloc(64 * 1024 * 1024, 32)).toString("hex");
    expect(bomb.length).toBeGreaterThan(60_000);
    expect(() => decodeText(Buffer.from(bomb))).toThrow();
  });
});
