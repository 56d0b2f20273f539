import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { promisify } from "node:util";
import { commandPath } from "../command-path.ts";
import { checkMulticast } from "./multicast.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/** What a check found. `missing`: something that only some need. `wrong`: services will not work. */
export interface Finding {
  readonly state: "good" | "missing" | "wrong";
  readonly found: string;
  /** What to do about it. */
  readonly remedy?: string;
}

export interface Check {
  readonly name: string;
  examine(environment: Variables, signal: AbortSignal): Promise<Finding>;
}

const run = promisify(execFile);

/** What `micro doctor` looks at, in its order. */
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
  return { state: "wrong", found: node, remedy: "install Node.js 20.19 or newer" };
}

async function checkTool(name: string, args: string[], install: string): Promise<Finding> {
  try {
    const env = { ...process.env, PATH: commandPath(process.env) };
    const { stdout, stderr } = await run(name, args, { env, timeout: 20_000 });
    return { state: "good", found: `${stdout}${stderr}`.trim().split("\n")[0] ?? "" };
  } catch (reason) {
    if ((reason as NodeJS.ErrnoException).code === "ENOENT") {
      return { state: "missing", found: "not here; generating code needs it", remedy: install };
    }
    return { state: "wrong", found: `it does not run: ${(reason as Error).message.trim()}` };
  }
}

async function checkPorts(environment: Variables): Promise<Finding> {
  const address = environment.MICRO_ADDRESS;
  const [, host = "0.0.0.0", port = "0"] = /^(.*):(\d+)$/.exec(address ?? "") ?? [];
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
      remedy: "stop what listens there, or set MICRO_ADDRESS to another place",
    };
  } finally {
    server.close();
  }
}

async function checkBackends(environment: Variables, signal: AbortSignal): Promise<Finding> {
  const url = environment.MICRO_NATS_URL;
  if (url === undefined || url === "") {
    return { state: "good", found: "none is configured; services use what comes with the runtime" };
  }
  const { openFleet } = await import("../fleet.ts");
  await using fleet = await openFleet(environment);
  const names = await fleet.registry.list({
    signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]),
  });
  return {
    state: "good",
    found: `NATS at ${new URL(url).host} answers, with ${names.length} services`,
  };
}
