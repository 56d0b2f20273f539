import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { tcpTransport } from "@micro-es/runtime";
import { buildServer } from "@micro-es/runtime/driver";
import { echoHandler } from "./echo.ts";
import { registerEcho } from "./server.ts";

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
    const child = spawn(
      process.execPath,
      ["--import", "tsx", "--conditions=@micro-es/source", fileURLToPath(import.meta.url), "serve"],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
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

if (process.argv[2] === "serve") {
  const server = buildServer({
    name: "echo",
    listen: [{ transport: tcpTransport(), address: "127.0.0.1:0" }],
  });
  const handler = echoHandler();
  registerEcho(server, {
    ...handler,
    once(request, context) {
      process.stdout.write(`executed ${request.text}\n`);
      return handler.once(request, context);
    },
  });
  // The end of whoever started it closes this.
  process.stdin.resume().once("end", () => process.exit());
  await server.start();
  process.stdout.write(`listening ${server.addresses[0]}\n`);
}
