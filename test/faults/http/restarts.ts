import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { pythonWithGrpc } from "../../interop/python.ts";
import { ownFleet } from "../../support/process.ts";
import type { Figure, Length } from "../figure.ts";
import { scratchDirectory } from "../scratch.ts";
import type { LoadFigures } from "./load.ts";
import { programCommand } from "./programs.ts";
import { RestartableServer } from "./servers.ts";

const here = import.meta.dirname;
/** The size of each form: total restarts, and calls per second of all clients together. */
const forms: Readonly<Record<Length, { readonly restarts: number; readonly perSecond: number }>> = {
  short: { restarts: 3, perSecond: 100 },
  long: { restarts: 9, perSecond: 500 },
};

/** Calls per second with which several calls are in progress on each server at any time. */
const abruptPerSecond = 400;

/** Three servers are restarted one after another while four kinds of clients call all of them. */
export async function rollingRestart(length: Length): Promise<Figure> {
  const { restarts, perSecond } = forms[length];
  const { clients, exits } = await restartUnderLoad(restarts, perSecond, "SIGTERM");
  const failed = clients.reduce((sum, { figures }) => sum + figures.failed, 0);
  const bad = exits.filter((status) => status !== 0);
  const calls = clients.reduce((sum, { figures }) => sum + figures.calls, 0);
  const each = clients.map(({ name, figures }) => {
    const errors = figures.errors.length > 0 ? ` (${figures.errors.join("; ")})` : "";
    return `${name} ${figures.failed} of ${figures.calls}, p99 ${figures.p99Ms} ms${errors}`;
  });
  const statuses = bad.length === 0 ? "every exit 0" : `exits ${bad.join(", ")}`;
  return {
    id: "R1",
    recipe: `3 servers, ${restarts} restarts by SIGTERM, ${perSecond} calls/s from ${clients.length} kinds of clients`,
    found: `${failed} of ${calls} calls failed: ${each.join(", ")}; ${statuses}`.replaceAll(
      "|",
      "/",
    ),
    bound: "no failed call, every exit 0",
    holds:
      failed === 0 && bad.length === 0 && (clients.length === 4 || process.env.CI === undefined),
  };
}

/** The same without a drain: the harness must detect it. */
export async function abruptRestart(): Promise<Figure> {
  const { clients } = await restartUnderLoad(1, abruptPerSecond, "SIGKILL");
  const failed = clients.reduce((sum, { figures }) => sum + figures.failed, 0);
  return {
    id: "R1-planted",
    recipe: "the same with one restart by SIGKILL, which must be noticed",
    found: `${failed} calls failed`,
    bound: "some call fails",
    holds: failed > 0,
  };
}

interface ClientRun {
  readonly name: string;
  readonly figures: LoadFigures;
}

async function restartUnderLoad(
  restarts: number,
  perSecond: number,
  signal: "SIGTERM" | "SIGKILL",
): Promise<{ clients: ClientRun[]; exits: (number | string)[] }> {
  using scratch = scratchDirectory();
  const environment = ownFleet();
  const servers = await Promise.all([1, 2, 3].map(() => RestartableServer.start(environment)));
  const exits: (number | string)[] = [];
  try {
    const commands = await clientCommands(
      scratch.path,
      servers.map(({ address }) => address),
      perSecond / 4,
    );
    const clients = commands.map(({ name, argv }) => ({ name, client: start(argv, environment) }));
    await Promise.all(clients.map(({ client }) => client.ready));
    for (let turn = 0; turn < restarts; turn++) {
      const server = servers[turn % servers.length]!;
      exits.push(await server.stop(signal));
      await server.start();
      // Clients with a fixed list find a restarted server at their own pace.
      await sleep(1_500);
    }
    const runs = clients.map(async ({ name, client }) => ({
      name,
      figures: await client.finish(),
    }));
    const found = await Promise.all(runs);
    if (signal === "SIGTERM") exits.push(...(await Promise.all(servers.map((it) => it.stop()))));
    return { clients: found, exits };
  } finally {
    for (const server of servers) await server[Symbol.asyncDispose]();
  }
}

async function clientCommands(scratch: string, addresses: readonly string[], perSecond: number) {
  const list = addresses.join(",");
  const rate = String(perSecond);
  const node = (name: string) => programCommand(join("clients", name));
  const commands = [
    { name: "Micro-ES", argv: [...(await node("ours.ts")), rate] },
    { name: "grpc-js", argv: [...(await node("grpc-js.ts")), rate, list] },
    { name: "connect-node", argv: [...(await node("connect-node.ts")), rate, list] },
  ];
  const python = await pythonWithGrpc();
  if (python === undefined) {
    console.error("R1 without grpcio: apt-get install python3-grpcio python3-protobuf");
    return commands;
  }
  const descriptors = join(scratch, "echo.binpb");
  const buf = join(here, "../../../node_modules/.bin/buf");
  await promisify(execFile)(buf, ["build", "--path", "test/proto/micro/test", "-o", descriptors], {
    cwd: join(here, "../../.."),
  });
  return [
    ...commands,
    { name: "grpcio", argv: [python, join(here, "clients/grpcio.py"), rate, list, descriptors] },
  ];
}

function start(argv: readonly string[], environment: Readonly<Record<string, string>>) {
  const [program = "", ...words] = argv;
  const child = spawn(program, words, {
    env: { ...process.env, ...environment },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, "exit").then(([status]) => {
    throw new Error(`${argv.join(" ")} ended with ${status} before it said what it saw`);
  });
  ended.catch(() => undefined);
  const ready = Promise.race([once(lines, "line"), ended]);
  return {
    ready,
    async finish(): Promise<LoadFigures> {
      const line = Promise.race([once(lines, "line"), ended]);
      child.stdin.write("stop\n");
      const [text] = (await line) as [string];
      return JSON.parse(text) as LoadFigures;
    },
  };
}
