import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { inCi } from "../../../../test/support/long.ts";
import { seededRandom } from "../../../../test/support/seeded-random.ts";
import { readDatagram } from "./datagram.ts";
import { streamKeys } from "./handshake.ts";
import { Keyring } from "./keyring.ts";
import { ReplayWindow } from "./replay-window.ts";
import { ChunkOpener, ChunkSealer } from "./sealed-chunks.ts";
import { DatagramSealer } from "./sealed-datagram.ts";
import { readStreamMessage } from "./stream-message.ts";

const key = () => randomBytes(32).toString("base64");
const [shared, other] = [key(), key()];
const [ada, bob, eve] = ["a".repeat(16), "b".repeat(16), "e".repeat(16)];
const sealer = (id: string, ...keys: string[]) => new DatagramSealer(id, new Keyring(keys));

describe("a sealed datagram", () => {
  test("is opened by its receiver, once", () => {
    const [from, to] = [sealer(ada, shared), sealer(bob, shared)];
    const packet = from.seal(bob, Buffer.from("hello"));
    expect(packet.includes("hello")).toBe(false);
    expect(to.open(packet)).toEqual({ from: ada, payload: Buffer.from("hello") });
    expect(to.open(packet)).toEqual({ refused: "replayed" });
  });

  test("is refused by every other member", () => {
    const packet = sealer(ada, shared).seal(bob, Buffer.from("hello"));
    expect(sealer(eve, shared).open(packet)).toEqual({ refused: "forged" });
  });

  test("is refused without its key", () => {
    const packet = sealer(ada, other).seal(bob, Buffer.from("hello"));
    expect(sealer(bob, shared).open(packet)).toEqual({ refused: "foreignKey" });
  });

  test("is refused with any bit changed, and cut at any length", () => {
    const to = sealer(bob, shared);
    const packet = sealer(ada, shared).seal(bob, Buffer.from("hello"));
    for (let bit = 0; bit < packet.length * 8; bit++) {
      const changed = Buffer.from(packet);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(to.open(changed)).toHaveProperty("refused");
    }
    for (let length = 0; length < packet.length; length++) {
      expect(to.open(packet.subarray(0, length))).toHaveProperty("refused");
    }
    expect(to.open(packet)).toHaveProperty("payload");
  });

  test("is opened while its key is added, used and removed", () => {
    const rings = [new Keyring([shared]), new Keyring([shared])];
    const [from, to] = [new DatagramSealer(ada, rings[0]!), new DatagramSealer(bob, rings[1]!)];
    const steps = [[shared, other], [other, shared], [other]];
    for (const keys of steps) {
      // One member after the other: both are always understood in between.
      for (const ring of rings) {
        ring.replace(keys);
        expect(to.open(from.seal(bob, Buffer.from("x")))).toHaveProperty("payload");
        expect(from.open(to.seal(ada, Buffer.from("x")))).toHaveProperty("payload");
      }
    }
    rings[1]!.replace([shared]);
    expect(to.open(from.seal(bob, Buffer.from("x")))).toEqual({ refused: "foreignKey" });
  });

  test("has a sender key and a nonce that no other datagram has", () => {
    const from = sealer(ada, shared);
    const [one, two] = [from.seal(bob, Buffer.alloc(64)), from.seal(bob, Buffer.alloc(64))];
    const restarted = sealer(eve, shared).seal(bob, Buffer.alloc(64));
    const sealed = [one, two, restarted].map((packet) => packet.toString("hex", 19));
    expect(new Set(sealed).size).toBe(3);
  });
});

test("a replay window accepts each number once, in any order, and none that is too old", () => {
  const random = seededRandom(5);
  const window = new ReplayWindow();
  const accepted = new Set<number>();
  let highest = 0;
  for (let at = 0; at < 20_000; at++) {
    const jump = random() < 0.01 ? 3_000 : 20;
    const sequence = Math.max(1, highest + Math.floor((random() - 0.7) * jump));
    const isNew = !accepted.has(sequence) && sequence > highest - 1_024;
    expect(window.isNew(sequence)).toBe(isNew);
    if (!isNew) continue;
    window.note(sequence);
    accepted.add(sequence);
    highest = Math.max(highest, sequence);
  }
});

describe("a sealed stream", () => {
  const ring = new Keyring([shared]);
  const keys = () => streamKeys(ring.first, randomBytes(16), randomBytes(16));

  test("carries messages of any size, however they are cut", () => {
    const random = seededRandom(11);
    for (const size of [0, 1, 16_384, 16_385, 300_000]) {
      const { toServer } = keys();
      const message = randomBytes(size);
      const opener = new ChunkOpener(toServer);
      let rest = new ChunkSealer(toServer).seal(message);
      let opened: Buffer | undefined;
      while (rest.length > 0) {
        const length = 1 + Math.floor(random() * 20_000);
        opened = opener.push(rest.subarray(0, length));
        rest = rest.subarray(length);
      }
      expect(opened?.equals(message)).toBe(true);
    }
  });

  test("is refused with any byte changed, and with the chunks of another connection", () => {
    const { toServer } = keys();
    const sealed = new ChunkSealer(toServer).seal(randomBytes(50));
    for (let at = 2; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at]! ^= 1;
      expect(() => new ChunkOpener(toServer).push(changed)).toThrow();
    }
    expect(() => new ChunkOpener(keys().toServer).push(sealed)).toThrow();
  });

  test("holds one chunk at most of a peer without the key", () => {
    const opener = new ChunkOpener(keys().toServer);
    expect(() => opener.push(Buffer.alloc(20_000, 0x3f))).toThrow();
    expect(opener.isAuthenticated).toBe(false);
  });
});

describe("the decoders", () => {
  test("read random bytes, or say that they are malformed", { timeout: 60_000 }, () => {
    const random = seededRandom(23);
    let read = 0;
    for (let at = 0; at < (inCi ? 50_000 : 10_000); at++) {
      const bytes = Buffer.from(
        Array.from({ length: Math.floor(random() * 60) }, () =>
          random() < 0.5 ? Math.floor(random() * 7) : Math.floor(random() * 256),
        ),
      );
      for (const decode of [readDatagram, readStreamMessage]) {
        try {
          decode(bytes);
          read++;
        } catch (error) {
          expect((error as Error).constructor.name).toBe("MalformedMessage");
        }
      }
    }
    expect(read).toBeGreaterThan(0);
  });

  test("make no more of a message than its bytes", () => {
    // Says that it has 8,000 members, and ends.
    expect(() => readStreamMessage(Buffer.of(3, 0x1f, 0x40))).toThrow("needs");
    expect(() => readStreamMessage(Buffer.of(3, 0xff, 0xff))).toThrow("65535 items");
  });
});
