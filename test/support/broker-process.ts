import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { MdnsRegistryOptions } from "@micro-es/runtime";
import { bundleOf } from "./bundle.ts";

const script = fileURLToPath(new URL("broker-subscriber.ts", import.meta.url));

/** A subscriber that lives in a process of its own. */
export interface BrokerProcess {
  /** The events that it handled, as text, in the order it handled them. */
  readonly events: readonly string[];
  /** Ends it so that it can neither finish nor deregister. */
  kill(): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  /**
   * Lets it close its broker; resolves with the exit code of a process that then ends by itself.
   */
  stop(): Promise<number | null>;
}

/**
 * Starts a process that subscribes over HTTP and is found by multicast DNS; resolves when it has.
 */
export async function startBrokerProcess(
  options: MdnsRegistryOptions,
  topic: string,
  queue?: string,
): Promise<BrokerProcess> {
  const start = JSON.stringify({ options, topic, queue });
  const child = spawn(process.execPath, [bundleOf(script), start], { stdio: "pipe" });
  const exited = once(child, "exit") as Promise<[number | null]>;
  let errors = "";
  child.stderr.on("data", (text) => {
    errors += text;
  });
  const events: string[] = [];
  await new Promise<void>((resolve, reject) => {
    createInterface(child.stdout).on("line", (line) => {
      if (line === "subscribed") resolve();
      else events.push(line);
    });
    exited.then(([code]) => {
      reject(new Error(`the process ended with ${code} before it subscribed: ${errors}`));
    }, reject);
  });
  return {
    events,
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
    signal: (name) => void child.kill(name),
    async stop() {
      child.stdin.end();
      return (await exited)[0];
    },
  };
}
