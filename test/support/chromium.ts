import { existsSync } from "node:fs";
import { join } from "node:path";

/** The browser of this machine; undefined if there is none. */
export const chromiumPath: string | undefined = ["chromium", "chromium-browser", "google-chrome"]
  .flatMap((name) => (process.env.PATH ?? "").split(":").map((folder) => join(folder, name)))
  .find(existsSync);

/** How to get a browser. */
export const chromiumFix = "apt-get install chromium, or put Chromium into the PATH";

/** Switches with which it runs in any container, and sends nothing of its own. */
export const chromiumFlags: readonly string[] = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"],
  ...["--disable-background-networking", "--disable-component-update"],
];

/**
 * Whether the tests of a file that need the browser run. Without it they are skipped with a
 * message, and fail in CI.
 *
 * @param what what these tests show
 */
export function hasChromium(what: string): boolean {
  if (chromiumPath !== undefined) return true;
  const message = `no Chromium in the PATH: ${chromiumFix} (test/setup does)`;
  if (process.env.CI === "true") throw new Error(message);
  console.warn(`SKIPPED, ${what}: ${message}`);
  return false;
}
