import { execFileSync } from "node:child_process";
import { mkdtempSync, rmdirSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import type { Store } from "../store.ts";
import { fileStore } from "./store.ts";

const disk = mkdtempSync(join(tmpdir(), "micro-full-disk-"));
const mounted = mount();
afterAll(() => {
  if (mounted) execFileSync("umount", ["-l", disk]);
  rmdirSync(disk);
});

/** Mounts a disk of 16 MiB, if this user may. */
function mount(): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

test.skipIf(!mounted)(
  "on a full disk writes fail cleanly and reads continue, and writes resume with free space",
  async () => {
    const path = join(disk, "store");
    const store = fileStore({ path });
    const block = crypto.getRandomValues(new Uint8Array(60_000));
    await store.write("first", block);
    writeFileSync(join(disk, "ballast"), new Uint8Array(9 * 1024 * 1024));
    const acknowledged = ["first"];
    const fill = async (): Promise<unknown> => {
      for (let i = 0; i < 400; i++) {
        try {
          await store.write(`key-${i}`, block);
          acknowledged.push(`key-${i}`);
        } catch (error) {
          return error;
        }
      }
      return undefined;
    };
    expect(await fill()).toMatchObject({
      code: "resource_exhausted",
      message: expect.stringContaining("disk is full"),
    });
    expect(store.state).toBe("degraded");
    await expect(store.write("again", block)).rejects.toMatchObject({ code: "resource_exhausted" });
    const isBlock = async (from: Store, key: string) =>
      Buffer.compare((await from.read(key))!.value, block) === 0;
    for (const key of acknowledged) expect(await isBlock(store, key), key).toBe(true);

    unlinkSync(join(disk, "ballast"));
    await vi.waitUntil(
      () =>
        store.write("again", block).then(
          () => true,
          () => false,
        ),
      { timeout: 10_000 },
    );
    expect(store.state).toBe("healthy");
    await store.close();

    await using reopened = fileStore({ path });
    for (const key of [...acknowledged, "again"]) {
      expect(await isBlock(reopened, key), key).toBe(true);
    }
  },
);
