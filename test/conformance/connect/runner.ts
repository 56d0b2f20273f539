import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { tools } from "../../codec/npm-package.ts";

/** The runner of Connect's conformance suite, and the .proto files of the service that it calls. */
export interface ConnectRunner {
  readonly program: string;
  readonly protos: string;
}

/** The runner cannot be had on this machine. */
export class NoConnectRunner extends Error {
  override readonly name = "NoConnectRunner";
}

const module = "connectrpc.com/conformance";
export const runnerVersion = "v1.0.5";

/**
 * Builds the runner once, from the Go module proxy, and keeps it with its .proto files.
 *
 * @throws NoConnectRunner that says what is missing.
 */
export function connectRunner(): ConnectRunner {
  const folder = join(tools, `connectconformance-${runnerVersion}`);
  const runner = { program: join(folder, "connectconformance"), protos: join(folder, "proto") };
  if (existsSync(folder)) return runner;
  try {
    execFileSync("go", ["version"], { stdio: "ignore" });
  } catch (cause) {
    throw new NoConnectRunner(
      "it is written in Go, which is missing: see https://go.dev/doc/install",
      {
        cause,
      },
    );
  }
  mkdirSync(tools, { recursive: true });
  const scratch = mkdtempSync(join(tools, "go-"));
  try {
    console.log(`building connectconformance ${runnerVersion}, once`);
    execFileSync("go", ["install", `${module}/cmd/connectconformance@${runnerVersion}`], {
      env: { ...process.env, GOBIN: scratch },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const sources = execFileSync("go", ["mod", "download", "-json", `${module}@${runnerVersion}`], {
      cwd: scratch,
      encoding: "utf8",
    });
    const { Dir } = JSON.parse(sources) as { Dir: string };
    cpSync(join(Dir, "proto"), join(scratch, "proto"), { recursive: true });
    renameSync(scratch, folder);
  } catch (cause) {
    throw new NoConnectRunner(`${module}@${runnerVersion} cannot be built`, { cause });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return runner;
}
