import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { CaseResult } from "./matrix.ts";
import { type Missing, ours } from "./peers.ts";
import { runProgram, startServer } from "./process.ts";

/**
 * grpc-go sends a PING per round trip; a server that counts them all loses about one call in 1,150.
 */
const calls = 100_000;
/** About 50 s on a quiet machine; up to six times as long on a busy one. */
const limitMs = 600_000;

/** Calls our server with grpc-go, one call after another; none may fail. */
export async function runSequentialCalls(
  scratch: string,
): Promise<readonly CaseResult[] | Missing> {
  const program = join(scratch, "sequential");
  try {
    await promisify(execFile)("go", ["build", "-buildvcs=false", "-o", program, "."], {
      cwd: join(import.meta.dirname, "grpc-go"),
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return { name: "grpc-go", fix: "install Go 1.25 or newer: https://go.dev/doc/install" };
  }
  const server = await startServer(ours.server(undefined), ours.address);
  const argv = [program, server.address, String(calls), "/grpc.testing.TestService/EmptyCall"];
  const { status, stdout } = await runProgram({ argv }, limitMs);
  await server.stop();
  const error = status === 0 ? undefined : `ended with ${status}: ${stdout.trim()}`;
  const name = `${calls} sequential calls`;
  return [{ client: "sequential calls of grpc-go", server: ours.name, tls: false, name, error }];
}
