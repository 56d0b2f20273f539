import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { fileStore } from "./store.ts";

vi.mock("classic-level", () => {
  throw new Error("Cannot find package 'classic-level'");
});

test("the file store says what to install if its library is missing", async () => {
  await expect(fileStore({ path: join(tmpdir(), "never-made") }).open()).rejects.toMatchObject({
    code: "failed_precondition",
    message: expect.stringContaining("npm install classic-level@3"),
  });
});
