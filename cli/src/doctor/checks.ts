import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { promisify } from "node:util";
import type { GossipRegistry, Store } from "@micro-es/runtime";
import type { BackendParts } from "../backend-parts.ts";
import { commandPath } from "../command-path.ts";
import { UsageError } from "../errors.ts";
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
  const { splitUrls } = await import("@micro-es/runtime/environment");
  const findings: Finding[] = [];
  // One by one, because a merged registry responds as soon as one of its members does.
  for (const MICRO_REGISTRY of splitUrls(environment.MICRO_REGISTRY ?? "")) {
    findings.push(...(await checkRegistry({ ...environment, MICRO_REGISTRY }, signal)));
  }
  findings.push(...(await checkStore(environment)));
  const wrong = findings.find(({ state }) => state === "wrong");
  const found = findings.map((finding) => finding.found).join("; ");
  if (wrong !== undefined) return { ...wrong, found };
  return {
    state: "good",
    found: found || "none configured; services use the runtime's embedded parts",
  };
}

async function checkRegistry(
  environment: Variables,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const { openBackendParts } = await import("../backend-parts.ts");
  const { untilAborted } = await import("@micro-es/runtime/driver");
  await using backend = await openBackendParts(environment);
  const { registry } = backend;
  if (registry.guarantees.reach !== "backend") return [];
  let reason = "";
  registry.onStateChange((_state, cause) => {
    reason = cause === undefined ? "" : `: ${cause.message}`;
  });
  const names = await untilAborted(registry.list({ signal }), AbortSignal.timeout(5_000));
  if (registry.state !== "healthy") {
    const found = `the ${registry.name} registry is ${registry.state}${reason}`;
    return [{ state: "wrong", found, ...(registry.name === "gossip" && { fix: gossipFix }) }];
  }
  const { members } = (registry as Partial<GossipRegistry>).stats ?? {};
  const others = members === undefined ? "" : ` and ${members - 1} other members`;
  const found = `the ${registry.name} registry responds, with ${names.length} services${others}`;
  return [{ state: "good", found }];
}

const gossipFix =
  "start a member that MICRO_REGISTRY names, give all of them the same MICRO_GOSSIP_KEY, and open their ports for UDP and TCP";

async function checkStore(environment: Variables): Promise<readonly Finding[]> {
  const { openBackendParts } = await import("../backend-parts.ts");
  const { untilAborted } = await import("@micro-es/runtime/driver");
  await using backend = await openBackendParts(environment);
  const store = sharedStore(backend);
  if (store === undefined) return [];
  // The key does not matter: a store that is not there cannot say that it has no such record.
  await untilAborted(store.read("micro-doctor"), AbortSignal.timeout(5_000));
  return [{ state: "good", found: `the ${store.name} store responds` }];
}

/** The store if it is on a backend: one in a folder may be open in a service. */
function sharedStore(backend: BackendParts): Store | undefined {
  try {
    const { store } = backend;
    return store.guarantees.sharing === "backend" ? store : undefined;
  } catch (reason) {
    if (reason instanceof UsageError) return undefined;
    throw reason;
  }
}
