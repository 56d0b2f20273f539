import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Finding } from "./caller.ts";
import { type Known, known } from "./known.ts";
import { available, node, otherRuntimes, type Runtime } from "./runtimes.ts";

/**
 * `npm run interop -- runtimes`: the examples, and calls of every kind over the native protocol,
 * gRPC and Connect, on Bun and Deno, with both ends on the runtime and with Node at the other end.
 * Exits with 1 when something fails that `known.ts` does not list, and says which of its entries
 * did not show.
 */

const root = join(import.meta.dirname, "../..");
const protocols = ["native", "gRPC", "Connect", "Connect over HTTP/1.1"];
const examples = ["greeter", "shop", "chat"];
const environment = {
  ...process.env,
  MICRO_ADDRESS: "127.0.0.1:0",
  MICRO_REGISTRY: "memory",
  MICRO_BROKER: "memory",
  MICRO_LOG_LEVEL: "error",
};

let failed = 0;
const seen = new Set<Known>();

function report(passed: boolean, line: string): void {
  if (!passed) failed++;
  console.log(`${passed ? "ok     " : "FAILED "} ${line}`);
}

function start(runtime: Runtime, file: string, args: readonly string[], env = environment) {
  const [program, ...flags] = runtime.command;
  const child = spawn(program, [...flags, join(root, file), ...args], {
    cwd: root,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = `${errors}${text}`.slice(-4_000);
  });
  return { child, lines: createInterface({ input: child.stdout }), errors: () => errors.trim() };
}

/**
 * Ends with the process, or with its death after so many milliseconds. Resolves with what it ended
 * by.
 */
async function end(child: ChildProcess, withinMs: number): Promise<number | string> {
  const tooLong = setTimeout(() => child.kill("SIGKILL"), withinMs);
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  clearTimeout(tooLong);
  return child.exitCode ?? child.signalCode ?? "unknown";
}

async function tryExample(runtime: Runtime, example: string): Promise<void> {
  // An example that starts programs chooses the network by itself.
  const { child, lines, errors } = start(runtime, `examples/${example}/src/demo.ts`, [], {
    ...process.env,
    MICRO_LOG_LEVEL: "error",
  } as typeof environment);
  let last = "";
  lines.on("line", (line) => {
    last = line === "" ? last : line;
  });
  const status = await end(child, 60_000);
  const title = `${runtime.name}: example ${example}`;
  report(
    status === 0,
    status === 0 ? title : `${title}: ended with ${status}: ${errors() || last}`,
  );
}

/**
 * Calls of every kind by one protocol. Each protocol has a server of its own, which another cannot
 * take down.
 */
async function tryProtocol(server: Runtime, client: Runtime, protocol: string): Promise<void> {
  const pair = `${client.name} calls ${server.name}, ${protocol}`;
  const service = start(server, "test/runtimes/service.ts", []);
  const address = await Promise.race([
    once(service.lines, "line").then(([line]) => String(line).replace("listening ", "")),
    end(service.child, 30_000).then(() => undefined),
  ]);
  if (address === undefined) {
    report(false, `${pair}: the service did not start: ${service.errors()}`);
    return;
  }
  const caller = start(client, "test/runtimes/caller.ts", [address, protocol]);
  const findings: Finding[] = [];
  caller.lines.on("line", (line) => findings.push(JSON.parse(line)));
  const closed = once(caller.lines, "close");
  const status = await end(caller.child, 90_000);
  await closed;
  if (service.child.pid !== undefined && service.child.exitCode === null) {
    service.child.kill("SIGTERM");
  }
  const stopped = await end(service.child, 30_000);
  const excuse = known.find((it) => it.server === server.name && it.protocols.includes(protocol));
  for (const { what, problem } of findings) {
    if (problem === undefined) report(true, `${pair}: ${what}`);
    else fault(`${pair}: ${what}: ${problem}`, excuse?.calls.includes(what) ? excuse : undefined);
  }
  if (status !== 0) fault(`${pair}: the caller ended with ${status}: ${caller.errors()}`);
  if (stopped !== 0) {
    const line = `${pair}: the service ended with ${stopped}: ${service.errors()}`;
    fault(line, excuse?.endsBadly === true ? excuse : undefined);
  }
}

function fault(line: string, excuse?: Known): void {
  if (excuse === undefined) {
    report(false, line);
    return;
  }
  seen.add(excuse);
  console.log(`known   ${line}\n        ${excuse.reason}`);
}

if (!available) {
  console.log("SKIPPED: Bun and Deno are tried on Linux on x64 only");
  process.exitCode = process.env.CI === "true" ? 1 : 0;
} else {
  for (const runtime of otherRuntimes()) {
    console.log(`\n${runtime.name} ${runtime.version}`);
    for (const example of examples) await tryExample(runtime, example);
    for (const protocol of protocols) {
      await tryProtocol(runtime, runtime, protocol);
      await tryProtocol(node, runtime, protocol);
      await tryProtocol(runtime, node, protocol);
    }
  }
  for (const it of known.filter((entry) => !seen.has(entry))) {
    console.log(`did not show: ${it.server}, ${it.protocols.join(" and ")}: ${it.reason}`);
  }
  console.log(failed === 0 ? "\nall as docs/runtimes.md says" : `\n${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
