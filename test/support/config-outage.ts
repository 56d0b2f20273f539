import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConfigSource, loadConfig, read, silentLogger } from "@micro-es/runtime";
import { expect, onTestFinished } from "vitest";

/** A configuration source and its server, which a test takes away. */
export interface ConfigOutage {
  readonly server: { stop(): Promise<void>; start(): Promise<void> };
  readonly source: () => ConfigSource;
  /** Writes `database.host`. */
  readonly write: (value: string) => Promise<unknown>;
  /** As the configuration names the source, such as `etcd:/micro/config`. */
  readonly name: string;
  readonly guarantees: object;
}

/**
 * Values stay in force while the server of their source is down, even after a restart of the
 * process, and changes arrive when it is back.
 */
export async function staysInForce(outage: ConfigOutage): Promise<void> {
  const { server, source, write, name, guarantees } = outage;
  const directory = mkdtempSync(join(tmpdir(), "micro-config-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  await write("first");
  const start = () =>
    loadConfig([source()], {
      logger: silentLogger,
      lastKnownGood: join(directory, "last-known-good.json"),
    });
  const before = await start();
  expect(before.guarantees).toMatchObject(guarantees);
  await server.stop();
  await expect.poll(() => before.state).toBe("degraded");
  expect(before.snapshot.stale).toEqual([name]);
  expect(before.get("database.host", read.text)).toBe("first");
  await before.close();
  await using after = await start();
  expect(after.snapshot.stale).toEqual([name]);
  expect(after.get("database.host", read.text)).toBe("first");
  await server.start();
  await write("second");
  await expect
    .poll(() => after.get("database.host", read.text), { timeout: 20_000 })
    .toBe("second");
  expect(after.snapshot.stale).toEqual([]);
  expect(after.state).toBe("healthy");
}
