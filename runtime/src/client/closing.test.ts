import { createClient } from "@micro-es/runtime";
import { expect, test } from "vitest";

test("a part that never closes keeps neither the client nor its other parts from closing", async () => {
  const closed: string[] = [];
  class Stuck {
    close(): Promise<void> {
      return new Promise(() => {});
    }
  }
  const link = {
    close: async () => {
      closed.push("link");
    },
  };
  const client = createClient({ owned: [new Stuck(), link] });
  await expect(client.close()).rejects.toMatchObject({
    code: "deadline_exceeded",
    message: expect.stringMatching(/^Stuck, a part of the client, did not close: .*within 2000 ms/),
  });
  expect(closed).toEqual(["link"]);
});
