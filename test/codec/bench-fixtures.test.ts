import { join } from "node:path";
import type { DescMessage } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { bundleSizes } from "../bench/codec/bundle-size.ts";
import { bytesOf, fixtures } from "../bench/codec/fixtures.ts";
import { largestBundle } from "../bench/codec/report.ts";
import { generated, protoSources } from "./generated.ts";

// What `npm run bench -- codec` measures, without the clock.

const { codec, pb, folder } = await generated(
  protoSources(join(import.meta.dirname, "../bench/codec/proto")),
);

describe.each(fixtures)("the $name message of the benchmark", (fixture) => {
  const { proto, typeName } = fixture;
  const schema = pb(proto)[`${typeName.split(".").at(-1)}Schema`] as DescMessage;
  const bytes = bytesOf(schema, fixture);
  const ours = codec(typeName);

  test("is read and written as by protobuf-es, and again once sizes are known", () => {
    const message = ours.decode(bytes);
    for (let i = 0; i < 3; i++) {
      expect(Buffer.compare(ours.encode(message), bytes)).toBe(0);
      const target = new Uint8Array(bytes.length + 64);
      expect(ours.encodeInto(message, target, 7)).toBe(7 + bytes.length);
      expect(Buffer.compare(target.subarray(7, 7 + bytes.length), bytes)).toBe(0);
    }
    expect(Buffer.compare(ours.encode(fixture.init), bytes)).toBe(0);
  });

  test("may be anywhere in a larger array", () => {
    const around = new Uint8Array(bytes.length + 20).fill(0xff);
    around.set(bytes, 13);
    expect(ours.decode(around.subarray(13, 13 + bytes.length), true)).toStrictEqual(
      ours.decode(bytes, true),
    );
  });
});

test("a bundle with the codec of one small message is no larger than promised", async () => {
  const [one] = await bundleSizes(folder);
  expect(one?.contender).toBe("micro-es");
  expect(one?.gzipped).toBeLessThanOrEqual(largestBundle);
});
