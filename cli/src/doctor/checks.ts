import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { promisify } from "node:util";
import { commandPath } from "../command-path.ts";
import type { Check, Finding, Variables } from "./check.ts";
import { checkMulticast } from "./multicast.ts";

const run = promisify(execFile);

/** The checks of `micro doctor`, in order. */
export const checks: readonly Check[] = [
  { name: "Node.js", examine: checkNode },
  { name: "buf", examine: () => checkTool("buf", ["--version"], "npm i -D @bufbuild/buf") },
  {
    name: "protoc-gen-es",
    examine: () => checkTool("protoc-gen-es", ["--version"], "npm i -D @bufbuild/protoc-gen-es"),
  },
  {
    name: "protoc-gen-micro",
    examine: () => checkTool("protoc-gen-micro", ["--version"], "npm i -D protoc-gen-micro"),
  },
  { name: "ports", examine: checkPorts },
  { name: "multicast", examine: checkMulticast },
  { name: "backends", examine: checkBackends },
];

async function checkNode(): Promise<Finding> {
  const { node } = process.versions;
  const [major = 0, minor = 0] = node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return { state: "good", found: node };
  return { state: "wrong", found: node, fix: "install Node.js 20.19 or newer" };
}

async function checkTool(name: string, args: string[], install: string): Promise<Finding> {
  try {
    const env = { ...process.env, PATH: commandPath(process.env) };
    const { stdout, stderr } = await run(name, args, { env, timeout: 20_000 });
    return { state: "good", found: `${stdout}${stderr}`.trim().split("\n")[0] ?? "" };
  } catch (reason) {
    if ((reason as NodeJS.ErrnoException).code === "ENOENT") {
      return { state: "missing", found: "not found; generating code needs it", fix: install };
    }
    return { state: "wrong", found: `does not run: ${(reason as Error).message.trim()}` };
  }
}

async function checkPorts(environment: Variables): Promise<Finding> {
  const address = environment.MICRO_ADDRESS;
  const [, host = "127.0.0.1", port = "0"] = /^(.*):(\d+)$/.exec(address ?? "") ?? [];
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(Number(port), host.replace(/^\[|\]$/g, ""), resolve);
    });
    return {
      state: "good",
      found: `a service can listen at ${host}:${port === "0" ? "a free port" : port}`,
    };
  } catch (reason) {
    return {
      state: "wrong",
      found: `a service cannot listen at ${host}:${port}: ${(reason as Error).message}`,
      fix: "stop the process that listens there, or set MICRO_ADDRESS to another address",
    };
  } finally {
    server.close();
  }
}

async function checkBackends(environment: Variables, signal: AbortSignal): Promise<Finding> {
  const { openBackendParts } = await import("../backend-parts.ts");
  const { untilAborted } = await import("@micro-es/runtime/driver");
  await using backend = await openBackendParts(environment);
  const { name, guarantees } = backend.registry;
  if (guarantees.reach !== "backend") {
    return { state: "good", found: "none configured; services use the runtime's embedded parts" };
  }
  const listed = backend.registry.list({ signal });
  const names = await untilAborted(listed, AbortSignal.timeout(5_000));
  return { state: "good", found: `the ${name} registry responds, with ${names.length} services` };
}
