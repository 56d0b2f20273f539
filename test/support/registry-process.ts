import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { GossipRegistryOptions, MdnsRegistryOptions, Node } from "@micro-es/runtime";
import { bundleOf } from "./bundle.ts";

const script = fileURLToPath(new URL("registry-node.ts", import.meta.url));

/** A node that lives in a process of its own. */
export interface RegistryProcess {
  readonly pid: number;
  /** Ends it so that it cannot say goodbye. */
  kill(): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  /**
   * Lets it close its registry; resolves with the exit code of a process that then ends by itself.
   */
  stop(): Promise<number | null>;
}

/** The registry of a process, by the options of one of them. */
export interface ProcessRegistry {
  readonly mdns?: MdnsRegistryOptions;
  readonly gossip?: GossipRegistryOptions;
}

/** Starts a process that registers a node; resolves when it has. */
export async function startRegistryProcess(
  node: Node,
  ttlMs: number,
  options: ProcessRegistry,
): Promise<RegistryProcess> {
  const start = JSON.stringify({ node, ttlMs, options });
  const child = spawn(process.execPath, [bundleOf(script), start], { stdio: "pipe" });
  await registered(child);
  const exited = once(child, "exit") as Promise<[number | null]>;
  return {
    pid: child.pid ?? 0,
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
    signal: (name) => void child.kill(name),
    async stop() {
      child.stdin.end("\n");
      return (await exited)[0];
    },
  };
}

async function registered(child: ChildProcessWithoutNullStreams): Promise<void> {
  let errors = "";
  child.stderr.on("data", (text) => {
    errors += text;
  });
  await Promise.race([
    once(child.stdout, "data"),
    once(child, "exit").then(([code]) => {
      throw new Error(`the process ended with ${code} before it registered: ${errors}`);
    }),
  ]);
}
