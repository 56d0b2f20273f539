import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Credentials, makeCredentials } from "../interop/credentials.ts";
import { foreignPeers, ours, type Peer } from "../interop/peers.ts";
import { type Running, runProgram, startServer } from "../interop/process.ts";
import { goTool } from "../support/go-tool.ts";
import { formatTable } from "./table.ts";

/**
 * `npm run bench -- grpc-servers`: the processor time that a server spends on a unary gRPC call,
 * for Micro-ES, grpc-go and grpc-js, and for `raw`, which does the least that a server on Node's
 * sockets can. The load is ghz, which calls with grpc-go's client on one connection. All servers of
 * a cell run at the same time and are loaded in turn.
 */

const { values } = parseArgs({
  options: {
    check: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    rounds: { type: "string", default: "5" },
    "in-flight": { type: "string", multiple: true, default: ["1", "16", "128"] },
  },
});
const rounds = Number(values.rounds);
/** The release of ghz. */
const ghzVersion = "0.121.0";
/** Bytes of the payload in a request and in its response. */
const payloadBytes = 64;
/** Clock ticks of /proc, in microseconds. */
const tickUs = 10_000;

/** A server to measure. */
type Contender = Pick<Peer, "name" | "server" | "address">;

interface Server extends Running {
  readonly name: string;
}

/** The processor time of each server per call in one cell, in microseconds. */
interface Cell {
  readonly tls: boolean;
  readonly inFlight: number;
  readonly cpuUs: Readonly<Record<string, number>>;
}

/** The least that a server on a socket of Node can do. */
const raw: Contender = {
  name: "raw",
  server(credentials) {
    const program = join(import.meta.dirname, "raw-grpc-server.ts");
    const tls =
      credentials === undefined
        ? []
        : ["--cert", credentials.certFile, "--key", credentials.keyFile];
    return { argv: [process.execPath, "--import", "tsx", program, ...tls] };
  },
  address: ours.address,
};

const ghz = await goTool("github.com/bojand/ghz/cmd/ghz", ghzVersion);
const peers: Contender[] = [ours, raw];
for (const peer of await foreignPeers("")) {
  if ("fix" in peer) console.error(`skipped ${peer.name}: ${peer.fix}`);
  else if (peer.name !== "grpcio") peers.push(peer);
}
if (ghz === undefined || peers.length < 4) {
  console.error("the load and one of the servers need Go: https://go.dev/doc/install");
  process.exit(1);
}

const scratch = await mkdtemp(join(tmpdir(), "micro-es-grpc-servers-"));
const cells: Cell[] = [];
try {
  const credentials = await makeCredentials(scratch);
  for (const tls of [undefined, credentials]) {
    const servers: Server[] = [];
    try {
      for (const peer of peers) servers.push(await start(peer, tls));
      for (const inFlight of values["in-flight"]) {
        const cell = await measure(servers, Number(inFlight), tls);
        cells.push(cell);
        if (values.json) console.log(JSON.stringify(cell));
      }
    } finally {
      for (const server of servers) await server.stop();
    }
  }
} finally {
  await rm(scratch, { recursive: true });
}

if (!values.json) print();
if (values.check && !cells.every(reached)) process.exitCode = 1;

async function start(peer: Contender, tls: Credentials | undefined): Promise<Server> {
  const running = await startServer(peer.server(tls), peer.address);
  return { ...running, name: peer.name };
}

async function measure(
  servers: readonly Server[],
  inFlight: number,
  tls: Credentials | undefined,
): Promise<Cell> {
  const calls = inFlight === 1 ? 5_000 : 20_000;
  const samples = new Map(servers.map(({ name }): [string, number[]] => [name, []]));
  for (const server of servers) await load(server, inFlight, tls, calls / 4);
  for (let round = 0; round < rounds; round++) {
    for (const server of servers) {
      const before = await cpuUsOf(server.pid);
      await load(server, inFlight, tls, calls);
      samples.get(server.name)!.push(((await cpuUsOf(server.pid)) - before) / calls);
    }
  }
  const cpuUs = Object.fromEntries([...samples].map(([name, of]) => [name, median(of)]));
  return { tls: tls !== undefined, inFlight, cpuUs };
}

async function load(
  { address, name }: Server,
  inFlight: number,
  tls: Credentials | undefined,
  calls: number,
): Promise<void> {
  const payload = { body: Buffer.alloc(payloadBytes, 1).toString("base64") };
  const { status, stdout, stderr } = await runProgram({
    argv: [
      ghz!,
      ...["--proto", join(import.meta.dirname, "../proto/grpc/testing/test.proto")],
      ...["--import-paths", join(import.meta.dirname, "../proto")],
      ...["--call", "grpc.testing.TestService/UnaryCall"],
      ...["--data", JSON.stringify({ responseSize: payloadBytes, payload })],
      ...["--connections", "1", "--concurrency", String(inFlight), "--total", String(calls)],
      ...["--format", "json"],
      ...(tls === undefined ? ["--insecure"] : ["--cacert", tls.certFile]),
      ...(tls === undefined ? [] : ["--cname", "localhost"]),
      address,
    ],
  });
  if (status !== 0) throw new Error(`ghz ended with ${status}:\n${stderr}`);
  const { statusCodeDistribution: codes } = JSON.parse(stdout) as {
    statusCodeDistribution: Record<string, number>;
  };
  if (codes.OK === calls) return;
  throw new Error(`of ${calls} calls to ${name}: ${JSON.stringify(codes)}`);
}

/** The processor time that a process has used, in microseconds. */
async function cpuUsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // The name of the program, in parentheses, may contain spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * tickUs;
}

function median(of: readonly number[]): number {
  return [...of].sort((a, b) => a - b)[of.length >> 1]!;
}

interface Ratios {
  readonly toGrpcGo: number;
  readonly toGrpcJs: number;
  /** Of the raw server to grpc-js': no server on Node's sockets can be below it. */
  readonly floorToGrpcJs: number;
}

function ratios({ cpuUs }: Cell): Ratios {
  const own = cpuUs[ours.name]!;
  const grpcJs = cpuUs["grpc-js"]!;
  return {
    toGrpcGo: own / cpuUs["grpc-go"]!,
    toGrpcJs: own / grpcJs,
    floorToGrpcJs: cpuUs[raw.name]! / grpcJs,
  };
}

/** Whether a call costs at most what it costs grpc-go, and a quarter of what it costs grpc-js. */
function reached(cell: Cell): boolean {
  const { toGrpcGo, toGrpcJs } = ratios(cell);
  return toGrpcGo <= 1 && toGrpcJs <= 0.25;
}

function print(): void {
  console.log(
    `processor time of the server per unary call of ${payloadBytes} bytes, in us; median of ${rounds} rounds\n`,
  );
  const rows = cells.map((cell) => {
    const { toGrpcGo, toGrpcJs, floorToGrpcJs } = ratios(cell);
    return [
      cell.tls ? "yes" : "no",
      String(cell.inFlight),
      ...peers.map(({ name }) => cell.cpuUs[name]!.toFixed(1)),
      toGrpcGo.toFixed(2),
      toGrpcJs.toFixed(2),
      floorToGrpcJs.toFixed(2),
      reached(cell) ? "yes" : "NO",
    ];
  });
  const names = peers.map(({ name }) => name);
  const head = [
    "TLS",
    "in flight",
    ...names,
    "to grpc-go",
    "to grpc-js",
    "raw to grpc-js",
    "at most 1 and 0.25",
  ];
  console.log(formatTable([head, ...rows]));
}
