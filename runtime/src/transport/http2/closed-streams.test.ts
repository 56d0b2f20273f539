import { expect, test } from "vitest";
import { ClosedStreams } from "./closed-streams.ts";

test("an old stream that closes late does not replace what is known of a newer one", () => {
  const closed = new ClosedStreams();
  closed.add(8_193, true);
  closed.add(1, false);
  expect(closed.kindOf(8_193)).toBe("reset");
  expect(closed.kindOf(1)).toBe("forgotten");
});

test("a reset that crosses one of this side is expected once", () => {
  const closed = new ClosedStreams();
  closed.add(5, true);
  expect(closed.knows(5)).toBe(true);
  expect(closed.knows(5)).toBe(false);
});
