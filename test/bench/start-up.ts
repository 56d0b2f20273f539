import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";

const here = import.meta.dirname;
const repository = join(here, "../..");

/**
 * Programs that listen and say so. The first is what Node itself takes; the second what the goal is about. A generated
 * service brings the half of protobuf-es that describes messages, and the defaults bring mDNS.
 */
const programs: Readonly<Record<string, string>> = {
  "bare node":
    "import { createServer } from 'node:net'; createServer().listen(0, '127.0.0.1', ready);",
  "micro-es": `import { createServer, memoryRegistry, silentLogger } from '@micro-es/runtime';
    const server = createServer({ name: 'hello', registry: memoryRegistry(), address: '127.0.0.1:0', logger: silentLogger });
    await server.start(); ready();`,
  "micro-es, a generated service": `import { createServer, memoryRegistry, silentLogger } from '@micro-es/runtime';
    import { registerBenchServiceHandler } from './gen/micro/bench/v1/bench_micro.js';
    const server = createServer({ name: 'hello', registry: memoryRegistry(), address: '127.0.0.1:0', logger: silentLogger });
    registerBenchServiceHandler(server, { echo: (it) => it, async *download() {}, async *pingPong() {} });
    await server.start(); ready();`,
  "micro-es, all defaults": `import { createService, silentLogger } from '@micro-es/runtime';
    const environment = { MICRO_MDNS_INTERFACE: '127.0.0.1', MICRO_MDNS_PORT: '${20_000 + (process.pid % 20_000)}' };
    const service = createService({ name: 'hello', address: '127.0.0.1:0', logger: silentLogger, environment });
    await service.start(); ready();`,
  "grpc-js": `import grpc from '@grpc/grpc-js';
    new grpc.Server().bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), ready);`,
  "connect-node": `import { createServer } from 'node:http'; import { connectNodeAdapter } from '@connectrpc/connect-node';
    createServer(connectNodeAdapter({ routes() {} })).listen(0, '127.0.0.1', ready);`,
  nest: `import 'reflect-metadata'; import { NestFactory } from '@nestjs/core'; import { Transport } from '@nestjs/microservices';
    class App {} const app = await NestFactory.createMicroservice(App, { transport: Transport.TCP, options: { host: '127.0.0.1', port: 0 }, logger: false });
    await app.listen(); ready();`,
};

/** The most that importing the core and listening may take beyond bare Node, in milliseconds. */
const mostMs = 40;
const mostInstalledMb = 3;
const repeats = 9;

/** Measures the time from the start of a process until it listens, and what is installed; true within the limits. */
export async function startUp(folder: string): Promise<boolean> {
  const times = new Map(Object.keys(programs).map((name) => [name, [] as number[]]));
  for (let round = 0; round < repeats; round++) {
    for (const [name, program] of Object.entries(programs)) {
      times.get(name)?.push(await untilReady(program, folder));
    }
  }
  const best = (name: string) => Math.min(...(times.get(name) ?? []));
  const bare = best("bare node");
  for (const name of times.keys()) {
    console.log(
      `${name}: ${best(name).toFixed(0)} ms until it listens, ${(best(name) - bare).toFixed(0)} over bare Node`,
    );
  }
  const installedMb = installedBytes(folder) / 2 ** 20;
  const overMs = best("micro-es") - bare;
  const reached = overMs <= mostMs && installedMb <= mostInstalledMb;
  console.log(
    `${reached ? "reached" : "MISSED "}  ${overMs.toFixed(0)} ms over bare Node (at most ${mostMs}), ${installedMb.toFixed(2)} MB installed beside protobuf-es and connect (at most ${mostInstalledMb})`,
  );
  return reached;
}

function untilReady(program: string, folder: string): Promise<number> {
  const source = `const ready = () => { process.stdout.write("ready"); setTimeout(() => process.exit(0), 5); }; ${program}`;
  const began = performance.now();
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    child.stdout.once("data", () => resolve(performance.now() - began));
    child.once("exit", (code) =>
      reject(new Error(`a program of the start-up suite ended with code ${code}`)),
    );
  });
}

/** What npm unpacks of the runtime and of its dependencies. */
function installedBytes(folder: string): number {
  const modules = ["dns-packet", "@leichtgewicht/ip-codec", "smol-toml", "yaml"];
  const folders = [
    join(folder, "node_modules/@micro-es/runtime"),
    ...modules.map((name) => join(repository, "node_modules", name)),
  ];
  return String(execFileSync("du", ["-sbL", ...folders]))
    .trim()
    .split("\n")
    .reduce((sum, line) => sum + Number.parseInt(line, 10), 0);
}
