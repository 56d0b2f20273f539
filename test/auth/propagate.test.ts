import { createServer } from "@micro-es/runtime";
import { expect, test } from "vitest";

test("a credential cannot be a key that handlers pass on", () => {
  for (const key of ["authorization", "Authorization", "cookie"]) {
    expect(() => createServer({ name: "a", listen: [], propagate: ["tenant", key] })).toThrow(
      /propagate.*give the client credentials of its own/,
    );
  }
  createServer({ name: "a", listen: [], propagate: ["tenant", "x-token-kind"] });
});
