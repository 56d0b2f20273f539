import { CachingProxy } from "./caching-proxy.ts";
import { wantedMarks, wrongMarks } from "./compression-marks.ts";
import type { Credentials } from "./credentials.ts";
import { FrameWitness } from "./frame-witness.ts";
import type { Front } from "./fronts.ts";
import type { Command, Peer, Target } from "./peers.ts";
import { runProgram, startServer } from "./process.ts";

/** One case of one client against one server. */
export interface CaseResult {
  readonly client: string;
  readonly server: string;
  readonly tls: boolean;
  readonly name: string;
  /** Why it failed; undefined if it passed. */
  readonly error: string | undefined;
}

/**
 * Runs all cases that both sides of each pair support, against a server that is started once for
 * all its clients.
 *
 * @param only the cases to run; all if omitted
 * @param front a proxy through which the clients reach the server
 */
export async function runAgainst(
  server: Peer,
  clients: readonly Peer[],
  credentials: Credentials | undefined,
  only?: readonly string[],
  front?: Front,
): Promise<CaseResult[]> {
  const running = await startServer(server.server(credentials), (line) => server.address(line));
  const tls = credentials !== undefined;
  const cache = tls ? undefined : await CachingProxy.start(running.address);
  const proxy = await front?.start(running.address);
  const serverName = front === undefined ? server.name : `${server.name} behind ${front.name}`;
  try {
    const target: Target = {
      address: proxy?.address ?? running.address,
      ca: credentials?.certFile,
      probe: server.seesCompression === true,
      cache: cache?.url,
    };
    const results: CaseResult[] = [];
    for (const client of clients) {
      const began = performance.now();
      const cases = client.clientCases
        .filter((name) => server.serverCases.includes(name))
        .filter((name) => only === undefined || only.includes(name))
        .filter((name) => name !== "cacheable_unary" || cache !== undefined);
      const errors = tls
        ? await runClient(client.client(target, cases), cases)
        : await runWatched(client, target, cases);
      for (const name of cases) {
        const error = errors.get(name);
        results.push({ client: client.name, server: serverName, tls, name, error });
      }
      const seconds = ((performance.now() - began) / 1000).toFixed(0);
      const pair = `${client.name} to ${serverName}${tls ? " by TLS" : ""}`;
      console.error(`${pair}: ${cases.length} cases, ${errors.size} failed, ${seconds} s`);
    }
    return results;
  } finally {
    await proxy?.stop();
    await cache?.close();
    await running.stop();
  }
}

/**
 * Runs the compression cases one by one behind a witness, as the client itself may not see which
 * messages were compressed.
 */
async function runWatched(
  client: Peer,
  target: Target,
  cases: readonly string[],
): Promise<Map<string, string>> {
  const plain = cases.filter((name) => wantedMarks[name] === undefined);
  const errors = await runClient(client.client(target, plain), plain);
  for (const name of cases) {
    if (wantedMarks[name] === undefined) continue;
    const witness = await FrameWitness.start(target.address);
    try {
      const watched = { ...target, address: witness.address };
      const [error] = (await runClient(client.client(watched, [name]), [name])).values();
      const wrong = error ?? wrongMarks(name, target.probe, witness);
      if (wrong !== undefined) errors.set(name, wrong);
    } finally {
      await witness.close();
    }
  }
  return errors;
}

/** The error of each case that failed. */
async function runClient(
  command: Command | readonly Command[],
  cases: readonly string[],
): Promise<Map<string, string>> {
  const errors = new Map<string, string>();
  if (!("argv" in command)) {
    for (const [index, one] of command.entries()) {
      const { status, stderr } = await runProgram(one);
      if (status !== 0) errors.set(cases[index]!, lastLine(stderr) || `status ${status}`);
    }
    return errors;
  }
  const { status, stdout, stderr } = await runProgram(command);
  const told = new Map<string, string | undefined>();
  for (const line of stdout.split("\n").filter((it) => it.startsWith("{"))) {
    const { name, error } = JSON.parse(line) as { name: string; error?: string };
    told.set(name, error);
  }
  const silent = `the client ended with ${status} and said nothing of it: ${lastLine(stderr)}`;
  for (const name of cases) {
    const error = told.has(name) ? told.get(name) : silent;
    if (error !== undefined) errors.set(name, error);
  }
  const last = cases.at(-1);
  if (status !== 0 && last !== undefined && !errors.has(last)) {
    errors.set(last, `the client ended with ${status} after its cases: ${lastLine(stderr)}`);
  }
  return errors;
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}
