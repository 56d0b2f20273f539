import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A RabbitMQ that tests can start. */
export interface RabbitMqProgram {
  readonly version: string;
  /** The root of the system that it is installed in, of which `/` is this machine's. */
  readonly root: string;
}

/** The folder of a whole system with a newer release, which test/setup makes if asked to. */
const newer = fileURLToPath(new URL("../../../.tools/rabbitmq-4.0", import.meta.url));

/**
 * The servers that tests run against: that in the system of which `RABBITMQ_SERVER` is the root, or
 * that of this machine.
 */
export function rabbitMqPrograms(): readonly RabbitMqProgram[] {
  const { RABBITMQ_SERVER } = process.env;
  const roots = [RABBITMQ_SERVER ?? "/"].map((root) => (root === "4.0" ? newer : root));
  return roots.flatMap((root) => {
    const isThere = existsSync(`${root}/usr/lib/rabbitmq/bin/rabbitmq-server`);
    const hasErlang = root !== "/" || spawnSync("which", ["erl", "epmd"]).status === 0;
    return isThere && hasErlang ? [{ root, version: versionIn(root) }] : [];
  });
}

function versionIn(root: string): string {
  const names = readdirSync(`${root}/usr/lib/rabbitmq/lib`);
  return names.flatMap((name) => /^rabbitmq_server-(\d[\d.]*)/.exec(name)?.[1] ?? [])[0] ?? "?";
}
