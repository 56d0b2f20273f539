import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { createService } from "./create-service.ts";
import { loadDrivers } from "./load-drivers.ts";

const folder = mkdtempSync(join(tmpdir(), "micro-drivers-"));
const empty = mkdtempSync(join(tmpdir(), "micro-drivers-"));
afterAll(() => {
  for (const made of [folder, empty]) rmSync(made, { recursive: true, force: true });
});

function install(name: string, code: string, entry: object | string = "./index.js"): void {
  const home = join(folder, "node_modules", name);
  mkdirSync(home, { recursive: true });
  const description = { name, version: "1.0.0", type: "module", exports: { ".": entry } };
  writeFileSync(join(home, "package.json"), JSON.stringify(description));
  writeFileSync(join(home, "index.js"), code);
}

const driver = (name: string, scheme = name) =>
  `export const ${name} = { schemes: ["${scheme}"], open: () => ({ close: async () => {} }) };
   export const other = 1;`;

install("@micro-es/acme", driver("acme"), { import: "./index.js" });
install("@micro-es/redis", driver("redis"), { types: "./index.d.ts", default: "./index.js" });
install("company-queue", driver("queue"));
install("@micro-es/hollow", "export const hollow = 1;");
install("@micro-es/broken", "throw new Error('cannot dial x://ada:secret@host');");

const schemes = async (environment: Record<string, string>) =>
  (await loadDrivers({ environment, from: [empty, folder] })).flatMap((it) => it.schemes);

describe("loadDrivers", () => {
  test("imports the package of each URL, once, from the application's folder", async () => {
    const environment = {
      MICRO_BACKEND: "acme://a",
      MICRO_STORE: "acme://b",
      MICRO_SYNC: "redis:",
    };
    expect([...(await schemes(environment))].sort()).toEqual(["acme", "redis"]);
    expect(await schemes({ MICRO_CONFIG: "file:a.yaml,rediss://b" })).toEqual(["redis"]);
    expect(await schemes({ MICRO_REGISTRY: "mdns", MICRO_TRANSPORT: "tcp:" })).toEqual([]);
    expect(await schemes({})).toEqual([]);
  });

  test("imports the packages of MICRO_DRIVERS", async () => {
    const environment = { MICRO_DRIVERS: "company-queue", MICRO_BACKEND: "queue://a" };
    expect(await schemes(environment)).toEqual(["queue"]);
    const drivers = await loadDrivers({ environment, from: [folder] });
    const service = createService({ name: "shop", drivers, environment });
    await service.close();
  });

  test("leaves the error about a missing package to createService", async () => {
    const environment = { MICRO_BACKEND: "etcd://ada:secret@a" };
    const drivers = await loadDrivers({ environment, from: [folder] });
    expect(() => createService({ name: "shop", drivers, environment })).toThrow(
      "MICRO_BACKEND=etcd://…@a needs the driver @micro-es/etcd: npm i @micro-es/etcd, and pass it",
    );
  });

  test.each([
    [
      { MICRO_DRIVERS: "absent" },
      /^MICRO_DRIVERS names absent, which is not installed in .*: npm i absent$/,
    ],
    [{ MICRO_BACKEND: "hollow:" }, /^the package @micro-es\/hollow exports no driver/],
    [
      { MICRO_BACKEND: "broken:" },
      /^the driver @micro-es\/broken cannot be imported: cannot dial x:\/\/…@host$/,
    ],
  ])("fails with %j", async (environment: Record<string, string>, message) => {
    await expect(schemes(environment)).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringMatching(message),
    });
  });
});
