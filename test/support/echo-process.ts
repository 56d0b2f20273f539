import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { bundleOf } from "./bundle.ts";

const script = fileURLToPath(new URL("echo-node.ts", import.meta.url));

/**
 * An echo server in a process of its own. It writes down the text of each `Once` that it begins.
 */
export class EchoProcess {
  readonly address: string;
  /** The texts of the `Once` calls that began there. */
  readonly executed: readonly string[];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, address: string, executed: readonly string[]) {
    this.#child = child;
    this.address = address;
    this.executed = executed;
  }

  static async start(): Promise<EchoProcess> {
    const child = spawn(process.execPath, [bundleOf(script)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const executed: string[] = [];
    const address = await new Promise<string>((resolve, reject) => {
      child.once("exit", (code) => reject(new Error(`the echo process ended with ${code}`)));
      createInterface({ input: child.stdout! }).on("line", (line) => {
        const [what, rest = ""] = line.split(" ");
        if (what === "listening") resolve(rest);
        else executed.push(rest);
      });
    });
    return new EchoProcess(child, address, executed);
  }

  /** Ends it as `kill -9` does, and resolves when all that it wrote is here. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "close");
  }
}
