import { spawn } from "node:child_process";
import type { Goal } from "./goals.ts";
import { installed } from "./installed.ts";

/** The time until a program listens, and the size of its installation. */
export interface StartUpRow {
  readonly suite: "start-up";
  readonly contender: string;
  readonly inFlight: 1;
  /** The size of its packages unpacked by npm. */
  readonly bytes: number;
  readonly packages: number;
  /** Starts per second, one after the other. */
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** The time of the fastest start beyond that of a bare listener. */
  readonly overBareNodeMs: number;
  readonly ratioToGrpcJs: number | null;
  readonly ratioToRawTcp: null;
}

interface Program {
  /** Calls `ready` when it listens. */
  readonly source: string;
  /** The packages that a user installs for it. */
  readonly packages: readonly string[];
}

const ours = ["@micro-es/runtime", "@bufbuild/protobuf"];

/**
 * The first measures Node itself; the goals apply to the second and to the generated one. The
 * defaults load mDNS, and the called one has had a call by Connect over HTTP/1.1.
 */
const programs: Readonly<Record<string, Program>> = {
  "bare-node": {
    source:
      "import { createServer } from 'node:net'; createServer().listen(0, '127.0.0.1', ready);",
    packages: [],
  },
  "micro-es": {
    source: `import { createServer, memoryRegistry, silentLogger } from '@micro-es/runtime';
    const server = createServer({ name: 'hello', registry: memoryRegistry(), address: '127.0.0.1:0', logger: silentLogger });
    await server.start(); ready();`,
    packages: ours,
  },
  "micro-es-called": {
    source: `import { createServer, memoryRegistry, silentLogger } from '@micro-es/runtime';
    import { request } from 'node:http';
    const codec = { typeName: '', contentType: 'application/octet-stream', encode: (it) => it, decode: (it) => it };
    const method = { service: '', name: 'hello.Hello/Say', kind: 'unary', input: codec, output: codec, idempotency: 'unknown' };
    const server = createServer({ name: 'hello', registry: memoryRegistry(), address: '127.0.0.1:0', logger: silentLogger });
    server.unary(method, (it) => it);
    await server.start();
    const headers = { 'content-type': 'application/proto' };
    const call = request(\`http://\${server.addresses[0]}/hello.Hello/Say\`, { method: 'POST', headers });
    call.on('response', (response) => response.resume().on('end', () => response.statusCode === 200 && ready())).end();`,
    packages: ours,
  },
  "micro-es-generated": {
    source: `import { createServer, memoryRegistry, silentLogger } from '@micro-es/runtime';
    import { registerBenchServiceHandler } from './gen/micro/bench/v1/bench_micro.js';
    const server = createServer({ name: 'hello', registry: memoryRegistry(), address: '127.0.0.1:0', logger: silentLogger });
    registerBenchServiceHandler(server, { echo: (it) => it, async *download() {}, async *pingPong() {} });
    await server.start(); ready();`,
    packages: ours,
  },
  "micro-es-defaults": {
    source: `import { createService, silentLogger } from '@micro-es/runtime';
    const environment = { MICRO_MDNS_INTERFACE: '127.0.0.1', MICRO_MDNS_PORT: '${20_000 + (process.pid % 20_000)}' };
    const service = createService({ name: 'hello', address: '127.0.0.1:0', logger: silentLogger, environment });
    await service.start(); ready();`,
    packages: ours,
  },
  "grpc-js": {
    source: `import grpc from '@grpc/grpc-js';
    new grpc.Server().bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), ready);`,
    packages: ["@grpc/grpc-js", "@grpc/proto-loader"],
  },
  "connect-node": {
    source: `import { createServer } from 'node:http'; import { connectNodeAdapter } from '@connectrpc/connect-node';
    createServer(connectNodeAdapter({ routes() {} })).listen(0, '127.0.0.1', ready);`,
    packages: ["@connectrpc/connect", "@connectrpc/connect-node", "@bufbuild/protobuf"],
  },
  "nest-tcp": {
    source: `import 'reflect-metadata'; import { NestFactory } from '@nestjs/core'; import { Transport } from '@nestjs/microservices';
    class App {} const app = await NestFactory.createMicroservice(App, { transport: Transport.TCP, options: { host: '127.0.0.1', port: 0 }, logger: false });
    await app.listen(); ready();`,
    packages: [
      "@nestjs/common",
      "@nestjs/core",
      "@nestjs/microservices",
      "reflect-metadata",
      "rxjs",
    ],
  },
  "moleculer-tcp": {
    source: `import { ServiceBroker } from 'moleculer';
    const broker = new ServiceBroker({ nodeID: 'hello', logger: false, transporter: { type: 'TCP', options: { udpDiscovery: false } } });
    await broker.start(); ready();`,
    packages: ["moleculer"],
  },
};

/** Not counted in the size of the runtime: the package that the project is founded on. */
const foundations = ["@bufbuild/protobuf"];

/**
 * The allowed time to import the core and listen, without and with a generated service, and the
 * allowed size of the installation.
 */
export function startUpGoals(folder: string): readonly Goal<StartUpRow>[] {
  const overBareNode = (name: string) => (rows: readonly StartUpRow[]) =>
    rows.find(({ contender }) => contender === name)?.overBareNodeMs;
  return [
    {
      what: "listening, over bare Node, in ms",
      atMost: 40,
      measure: overBareNode("micro-es"),
    },
    {
      what: "listening with a generated service, over bare Node, in ms",
      atMost: 50,
      measure: overBareNode("micro-es-generated"),
    },
    {
      what: "installed in addition to protobuf-es, in MB",
      atMost: 2.4,
      measure: () => installed(ours, folder, foundations).bytes / 2 ** 20,
    },
  ];
}

/**
 * Starts each program in turn, and measures from its spawn until it listens.
 *
 * @param wanted the names of the programs, in addition to bare Node; empty: all
 */
export async function startUp(
  folder: string,
  rounds: number,
  wanted: readonly string[] = [],
): Promise<readonly StartUpRow[]> {
  const chosen = Object.entries(programs).filter(
    ([name]) => wanted.length === 0 || name === "bare-node" || wanted.includes(name),
  );
  const times = new Map(chosen.map(([name]) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, { source }] of chosen) {
      times.get(name)?.push(await untilReady(source, folder));
    }
  }
  for (const list of times.values()) list.sort((a, b) => a - b);
  const at = (name: string, share: number) => {
    const list = times.get(name) ?? [];
    return list[Math.floor((list.length - 1) * share)] ?? Number.NaN;
  };
  const bare = at("bare-node", 0);
  const grpc = times.has("grpc-js") ? at("grpc-js", 0.5) : undefined;
  return chosen.map(([contender, { packages }]) => ({
    suite: "start-up",
    contender,
    inFlight: 1,
    ...installed(packages, folder),
    perSecond: Number((1000 / at(contender, 0.5)).toFixed(2)),
    p50Us: Math.round(at(contender, 0.5) * 1000),
    p99Us: Math.round(at(contender, 0.99) * 1000),
    overBareNodeMs: Math.round(at(contender, 0) - bare),
    ratioToGrpcJs: grpc === undefined ? null : Number((grpc / at(contender, 0.5)).toFixed(2)),
    ratioToRawTcp: null,
  }));
}

/** Prints one line per program. */
export function printStartUp(rows: readonly StartUpRow[]): void {
  for (const { contender, p50Us, overBareNodeMs, bytes, packages } of rows) {
    const ms = (p50Us / 1000).toFixed(0).padStart(5);
    const size = (bytes / 2 ** 20).toFixed(1).padStart(5);
    console.log(
      `start-up  ${contender.padEnd(20)} ${ms} ms until it listens, ${String(overBareNodeMs).padStart(4)} over bare Node at best; ${size} MB in ${packages} packages`,
    );
  }
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
