import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { BenchServer } from "./contender.ts";

/**
 * The interoperability server of grpc-go, as the server of contenders that compare clients. Its
 * processor time is not counted.
 */
export const grpcGoServer = {
  /** Why it cannot run here; undefined if it can. */
  async unavailable(): Promise<string | undefined> {
    return program() === "" ? "grpc-go's server needs Go: https://go.dev/doc/install" : undefined;
  },

  async serve(): Promise<BenchServer> {
    const child = spawn(program(), ["-port", "0"], {
      env: { ...process.env, GRPC_GO_LOG_SEVERITY_LEVEL: "info" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const ended = once(child, "exit");
    const port = new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stderr }).on("line", (line) => {
        const found = /interop server listening on \S*:(\d+)/.exec(line)?.[1];
        if (found !== undefined) resolve(found);
      });
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`grpc-go's server ended with ${code}`)));
    });
    return {
      address: `127.0.0.1:${await port}`,
      async close() {
        child.kill();
        await ended;
      },
    };
  },
};

function program(): string {
  return process.env.BENCH_GRPC_GO ?? "";
}
