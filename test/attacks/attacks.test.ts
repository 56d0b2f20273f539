import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { inCi, long } from "../support/long.ts";
import { table, writeTable } from "./table.ts";

const planted = join(import.meta.dirname, "planted");

function runAttacks(...words: string[]): Promise<{ status: number; output: string }> {
  const run = ["--import", "tsx", "--conditions=@micro-es/source", "test/attacks/run.ts"];
  return new Promise((resolve) => {
    const args = [...run, "--folder", planted, ...words];
    const cwd = join(import.meta.dirname, "../..");
    execFile(process.execPath, args, { cwd }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code), output: stdout + stderr });
    });
  });
}

describe("npm run fuzz -- attacks", () => {
  test("succeeds when every attack stays within its bounds", async () => {
    const { status, output } = await runAttacks("within-bounds");
    expect(output).toMatch(/^within-bounds: .*: within bounds$/m);
    expect(status).toBe(0);
  }, 60_000);

  const faults: readonly (readonly [attack: string, fault: RegExp])[] = [
    ["broken-promise", /the request was accepted/],
    ["waste-cpu", /CPU time \d+ ms, at most \d+/],
    ["waste-memory", /memory held \d+ MB, at most 25/],
    ["waste-stall", /longest stall \d+ ms, at most \d+/],
    ["exit", /the target ended with 3/],
    ["unhandled-rejection", /unhandled rejection: Error: planted/],
  ];
  // Each starts a service of its own, and what exceeds its bounds is measured again.
  test.runIf(inCi).each(long ? faults : faults.slice(0, 1))(
    "fails on %s",
    async (attack, fault) => {
      const { status, output } = await runAttacks(attack);
      expect(output).toMatch(new RegExp(`^${attack}: .*: EXCEEDED$`, "m"));
      expect(output).toMatch(fault);
      expect(status).toBe(1);
    },
    120_000,
  );

  test("runs every planted attack in a test", () => {
    const files = readdirSync(planted).filter((file) => file.endsWith(".ts"));
    expect(files).toHaveLength(7);
  });

  test("refuses a name that is not an attack", async () => {
    const { status, output } = await runAttacks("within-bound");
    expect(output).toContain("unknown attack within-bound");
    expect(status).toBe(2);
  });
});

describe("the table", () => {
  test("replaces the text between its markers", async () => {
    const folder = await mkdtemp(join(tmpdir(), "micro-es-attacks-"));
    try {
      const file = join(folder, "page.md");
      await writeFile(file, "before\n<!-- attacks: begin -->\nold\n<!-- attacks: end -->\nafter\n");
      await writeTable(pathToFileURL(file), table([]));
      const page = await readFile(file, "utf8");
      expect(page).toMatch(/^before\n/);
      expect(page).toContain("| Protocol | Attack |");
      expect(page).not.toContain("old");
      expect(page).toMatch(/\nafter\n$/);
      await writeFile(file, "no markers");
      await expect(writeTable(pathToFileURL(file), "")).rejects.toThrow("attacks: begin");
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
