import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const vitest = join(import.meta.dirname, "../../node_modules/vitest/vitest.mjs");

test("a file that never ends fails, and the others are run", () => {
  const config = join(import.meta.dirname, "planted/vitest.config.ts");
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [vitest, "run", "--config", config],
    { encoding: "utf8", timeout: 60_000 },
  );
  expect(status).toBe(1);
  expect(stderr).toContain("spins.ts did not end within 3000 ms");
  expect(JSON.parse(stdout)).toMatchObject({ numPassedTests: 1 });
}, 60_000);
