import { setTimeout as sleep } from "node:timers/promises";
import {
  createClient,
  createServer,
  goMicroTransport,
  httpTransport,
  type MicroError,
  silentLogger,
  tcpTransport,
} from "@micro-es/runtime";
import {
  createEchoServiceClient,
  EchoedTopic,
  registerEchoServiceHandler,
} from "../../gen/micro/test/v1/echo_micro.ts";
import { echoHandler } from "../../support/echo.ts";
import { type Fleet, interopCases, ours, theirs } from "./cases.ts";
import { GoMicroPeer, peerProgram } from "./peer.ts";
import {
  allSurroundings,
  closeServers,
  namedSurroundings,
  type Surroundings,
} from "./surroundings.ts";

/**
 * Calls and events between a go-micro program and ours, in both directions, discovered through each
 * registry that both have. It prints a table, and exits with 1 when anything failed.
 */

if (peerProgram === undefined) {
  const message =
    "there is no program of go-micro's to test against: build one as test/interop/go-micro/peer.ts describes, and set GO_MICRO_PEER to its path";
  console.error(`*** SKIPPED: ${message} ***`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}
const program = peerProgram;

const wanted = process.argv.slice(2);
const surroundings =
  wanted.length === 0
    ? allSurroundings
    : [...allSurroundings, ...namedSurroundings].filter(({ name }) => wanted.includes(name));

/** Waits until both sides know each other; each looks for the other's nodes only at intervals. */
async function acquainted({ client, peer }: Fleet): Promise<void> {
  const patience = performance.now() + 30_000;
  const command = {
    do: "unary",
    service: ours,
    endpoint: "EchoService.Echo",
    request: {},
  } as const;
  for (;;) {
    const [there, back] = await Promise.all([
      client.echo({}, { timeoutMs: 2_000 }).then(
        () => undefined,
        (error) => String(error),
      ),
      peer.run(command).then(({ error }) => error?.text),
    ]);
    if (there === undefined && back === undefined) return;
    if (performance.now() > patience) {
      throw new Error(`the programs did not find each other: ${there ?? back}`);
    }
    await sleep(200);
  }
}

async function inFleet({ protocol, open }: Surroundings, use: (fleet: Fleet) => Promise<void>) {
  const network = await open();
  const cancelled: MicroError[] = [];
  const heard: string[] = [];
  const { transport = tcpTransport() } = network;
  const server = createServer({
    name: ours,
    listen: [{ transport, address: network.transport === undefined ? "127.0.0.1:0" : "nats:0" }],
    registry: network.registry,
    broker: network.broker,
    logger: silentLogger,
  });
  const echo = echoHandler(ours);
  registerEchoServiceHandler(server, {
    ...echo,
    async echo(request, context) {
      const key = /^metadata:(.*)$/.exec(request.text)?.[1];
      if (key !== undefined) return { text: context.requestMetadata.get(key) ?? "" };
      if (request.text === "deadline") return { index: Math.round(context.remainingMs()) };
      return echo.echo(request, context);
    },
    once(request, context) {
      context.signal.addEventListener("abort", () => cancelled.push(context.signal.reason));
      return echo.once(request, context);
    },
    onEchoed: ({ text }) => {
      heard.push(text);
    },
  });
  const ourClient = createClient({
    registry: network.registry,
    transports: [transport, httpTransport(), goMicroTransport()],
    logger: silentLogger,
  });
  const called = createEchoServiceClient(ourClient);
  // Ours is registered under the schema's name too.
  const client: Fleet["client"] = {
    echo: (request, options) => called.echo(request, { service: theirs, ...options }),
    once: (request, options) => called.once(request, { service: theirs, ...options }),
    repeat: (request, options) => called.repeat(request, { service: theirs, ...options }),
    collect: (requests, options) => called.collect(requests, { service: theirs, ...options }),
    chat: (requests, options) => called.chat(requests, { service: theirs, ...options }),
  };
  await server.start();
  const flags = [
    "-name",
    theirs,
    "-protocol",
    protocol,
    "-subscribe",
    EchoedTopic.name,
    ...network.args,
  ];
  const peer = await GoMicroPeer.start(program, flags);
  try {
    const onSockets = network.transport === undefined;
    const fleet = { protocol, onSockets, peer, client, broker: network.broker, cancelled, heard };
    await acquainted(fleet);
    await use(fleet);
  } finally {
    await peer.close();
    await ourClient.close();
    await server.close();
    await network.close();
  }
}

const results = new Map<string, string[]>(interopCases.map(({ name }) => [name, []]));
const failures: string[] = [];
for (const [column, around] of surroundings.entries()) {
  await inFleet(around, async (fleet) => {
    for (const { name, run } of interopCases) {
      const began = performance.now();
      try {
        await run(fleet);
        results.get(name)!.push(`${Math.round(performance.now() - began)} ms`);
      } catch (error) {
        results.get(name)!.push("FAILED");
        failures.push(`${around.name}, ${name}:\n${error instanceof Error ? error.stack : error}`);
      }
    }
  }).catch((error) => {
    failures.push(`${around.name}: ${error instanceof Error ? error.stack : error}`);
  });
  // Those that were not reached.
  for (const cells of results.values()) if (cells.length === column) cells.push("–");
}
await closeServers();
const width = Math.max(...[...results.keys()].map((name) => name.length));
console.log(`${"".padEnd(width)}  ${surroundings.map(({ name }) => name.padStart(16)).join("")}`);
for (const [name, cells] of results) {
  console.log(`${name.padEnd(width)}  ${cells.map((cell) => cell.padStart(16)).join("")}`);
}
for (const failure of failures) console.error(`\n${failure}`);
console.log(
  `\n${failures.length === 0 ? "all" : "not all"} of ${interopCases.length} cases passed in ${surroundings.length} surroundings`,
);
process.exitCode = failures.length > 0 ? 1 : 0;
