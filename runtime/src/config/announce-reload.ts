import { appendFile } from "node:fs/promises";

/**
 * Names the file in which `micro run` collects the files that its services reload by themselves;
 * set only by `micro run`.
 */
const listVariable = "MICRO_RUN_RELOADED_FILES";

/**
 * Notifies the `micro run` that started this process that the process follows a file and needs no
 * restart when the file changes. Does nothing in a process that was started otherwise.
 */
export async function announceReload(path: string): Promise<void> {
  const list = process.env[listVariable];
  if (list === undefined || list === "") return;
  // Without the announcement the service is restarted when the file changes, which is also correct,
  // only slower.
  await appendFile(list, `${path}\n`).catch(() => {});
}
