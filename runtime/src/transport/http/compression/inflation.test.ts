import { brotliCompressSync, gzipSync } from "node:zlib";
import { MicroError } from "@micro-es/runtime";
import { expect, test } from "vitest";
import { CallInflation } from "./inflation.ts";

const mb = 1024 * 1024;
const waited = () => undefined;
const zeros = (bytes: number) => gzipSync(Buffer.alloc(bytes));

test("repetitive messages of a call are inflated up to 320 KiB, whatever they were", async () => {
  const inflation = new CallInflation(4 * mb, 100, waited);
  for (const compress of [gzipSync, brotliCompressSync]) {
    const name = compress === gzipSync ? "gzip" : "br";
    const inflated = await inflation.inflate(name, compress(Buffer.alloc(150 * 1024)));
    expect(inflated).toHaveLength(150 * 1024);
  }
  await expect(inflation.inflate("gzip", zeros(150 * 1024))).rejects.toMatchObject({
    code: "resource_exhausted",
    message: expect.stringContaining("more than 100 times larger by inflating"),
  });
});

test("earlier messages count toward the size that later ones may reach", async () => {
  const inflation = new CallInflation(4 * mb, 100, waited);
  const noise = Buffer.from(Array.from({ length: 20_000 }, (_, at) => (at * 7_919) % 251));
  await inflation.inflate("gzip", gzipSync(noise, { level: 0 }));
  expect(await inflation.inflate("gzip", zeros(mb))).toHaveLength(mb);
});

test("a message that is larger than the limit says so", async () => {
  const inflation = new CallInflation(1_000, 100, waited);
  await expect(inflation.inflate("gzip", zeros(1_001))).rejects.toMatchObject({
    code: "resource_exhausted",
    message: expect.stringContaining("more than 1000 bytes once it is inflated"),
  });
});

test("bytes that are not compressed so are invalid", async () => {
  const inflation = new CallInflation(1_000, 100, waited);
  await expect(inflation.inflate("gzip", Buffer.from("text"))).rejects.toMatchObject({
    code: "invalid_argument",
  });
});

test("messages wait for their turn, and those of a call that is over are dropped", async () => {
  let asked = 0;
  const over = () => {
    asked++;
    return undefined;
  };
  const large = zeros(4 * mb);
  const inflations = Array.from({ length: 20 }, () =>
    new CallInflation(4 * mb, 10_000, over).inflate("gzip", large),
  );
  const late = new CallInflation(4 * mb, 10_000, () => new MicroError("canceled", "it is over"));
  const dropped = late.inflate("gzip", large);
  dropped.catch(() => undefined);
  await Promise.resolve();
  await Promise.resolve();
  // 16 MiB are reserved for concurrent inflation.
  expect(asked).toBe(4);
  await Promise.all(inflations);
  expect(asked).toBe(20);
  await expect(dropped).rejects.toThrow("it is over");
});

test("the messages of a call have elements in proportion to their compressed bytes", async () => {
  const inflation = new CallInflation(4 * mb, 100, waited);
  const message = zeros(1_000);
  await inflation.inflate("gzip", message);
  const most = 8_192 + 8 * message.length;
  inflation.countElements((left) => {
    expect(left).toBe(most);
    return 1_000;
  });
  await inflation.inflate("gzip", message);
  expect(() =>
    inflation.countElements((left) => {
      expect(left).toBe(most + 8 * message.length - 1_000);
      throw new MicroError("resource_exhausted", "there are more");
    }),
  ).toThrow("send them without compression");
});
