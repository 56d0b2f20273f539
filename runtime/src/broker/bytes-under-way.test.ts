import { expect, test } from "vitest";
import { BytesUnderWay } from "./bytes-under-way.ts";

const mebibyte = 1024 * 1024;

test("an event beyond 64 MiB is refused until others have ended", () => {
  const underWay = new BytesUnderWay("until Redis has stored them");
  underWay.add(63 * mebibyte);
  expect(underWay.hasRoomFor(mebibyte)).toBe(true);
  underWay.add(mebibyte);
  expect(underWay.hasRoomFor(1)).toBe(false);
  expect(underWay.refusal("publish on orders")).toMatchObject({
    code: "resource_exhausted",
    outcome: "not-executed",
    message:
      "publish on orders: 67108864 bytes of events wait until Redis has stored them, at most 67108864 may; await publications before publishing more",
  });
  // Dead letters do not count.
  expect(underWay.hasRoomFor(0)).toBe(true);
  underWay.remove(1);
  expect(underWay.hasRoomFor(1)).toBe(true);
});
