import { type ChildProcess, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "@micro-es/test-support/free-ports";
import { ServerProcess } from "@micro-es/test-support/server-process";
import { FakeNsqd, type FakeNsqdOptions } from "./fake-nsqd.ts";

/** The path of an nsqd to test with; without it, tests use {@link FakeNsqd}. */
const nsqd = process.env.NSQD;

/** What tests run against, such as `nsqd v1.3.0`. */
export const nsqdVersion: string = nsqd === undefined ? "a fake nsqd" : versionOf(nsqd);

/** An nsqd of a test's own, on a free port, real or not. */
export interface NsqdServer extends AsyncDisposable {
  /** For clients. */
  readonly address: string;
  readonly port: number;
  /** Ends it at once: messages in memory are gone. */
  kill(): Promise<void>;
  /** Ends it gently: it keeps its messages. */
  stop(): Promise<void>;
  /** Starts it again where it was. */
  start(): Promise<void>;
  /** The number of messages that a channel has, in flight or not; undefined without the channel. */
  depth(topic: string, channel: string): Promise<number | undefined>;
  close(): Promise<void>;
}

/** Starts an nsqd: the one that `NSQD` names, or a fake. */
export async function startNsqd(options: FakeNsqdOptions = {}): Promise<NsqdServer> {
  return nsqd === undefined ? startFake(options) : startProcess(nsqd, options);
}

async function startFake(options: FakeNsqdOptions): Promise<NsqdServer> {
  const fake = new FakeNsqd(options);
  await fake.start();
  const { port } = fake;
  return {
    address: `127.0.0.1:${port}`,
    port,
    kill: () => fake.kill(),
    stop: () => fake.stop(),
    start: () => fake.start(),
    depth: async (topic, channel) => fake.depth(topic, channel),
    close: () => fake.kill(),
    [Symbol.asyncDispose]: () => fake.kill(),
  };
}

async function startProcess(path: string, options: FakeNsqdOptions): Promise<NsqdServer> {
  const [port = 0, http = 0] = await freePorts(2);
  const { msgTimeoutMs = 60_000, maxMsgTimeoutMs = 900_000, memQueueSize = 10_000 } = options;
  const auth = options.secrets === undefined ? undefined : await startAuth(options.secrets);
  const server = new ServerProcess("nsqd", (directory) => ({
    path,
    flags: [
      ...tlsFlags(directory, options),
      ...(auth === undefined ? [] : [`--auth-http-address=127.0.0.1:${portOf(auth)}`]),
      `--tcp-address=127.0.0.1:${port}`,
      `--http-address=127.0.0.1:${http}`,
      `--data-path=${directory}`,
      `--msg-timeout=${msgTimeoutMs}ms`,
      `--max-msg-timeout=${maxMsgTimeoutMs}ms`,
      `--mem-queue-size=${memQueueSize}`,
      "--broadcast-address=127.0.0.1",
    ],
    ready: (child) => listens(port, child),
  }));
  const close = async () => {
    auth?.close();
    await server.close();
  };
  await server.start();
  return {
    address: `127.0.0.1:${port}`,
    port,
    kill: () => server.stop("SIGKILL"),
    stop: () => server.stop("SIGTERM"),
    start: () => server.start(),
    depth: (topic, channel) => depthOf(http, topic, channel),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function tlsFlags(directory: string, { tls, tlsRequired }: FakeNsqdOptions): readonly string[] {
  if (tls === undefined) return [];
  return [
    ...Object.entries(tls).map(([name, pem]) => {
      const path = join(directory, `${name}.pem`);
      writeFileSync(path, pem, { mode: 0o600 });
      return `--tls-${name}=${path}`;
    }),
    ...(tlsRequired === true ? ["--tls-required=true"] : []),
  ];
}

/** The service that nsqd asks about the secret of a client. */
async function startAuth(secrets: readonly string[]): Promise<Server> {
  const auth = createServer((request, response) => {
    const secret = new URL(request.url ?? "", "http://auth").searchParams.get("secret") ?? "";
    const permitted = { permissions: ["subscribe", "publish"], topic: ".*", channels: [".*"] };
    if (!secrets.includes(secret)) response.statusCode = 403;
    response.end(JSON.stringify({ ttl: 60, identity: secret, authorizations: [permitted] }));
  });
  await new Promise<void>((resolve) => {
    auth.listen(0, "127.0.0.1", resolve);
  });
  return auth;
}

function portOf(server: Server): number {
  return (server.address() as { readonly port: number }).port;
}

interface Statistics {
  readonly topics: readonly {
    readonly channels: readonly {
      readonly channel_name: string;
      readonly depth: number;
      readonly in_flight_count: number;
      readonly deferred_count: number;
    }[];
  }[];
}

async function depthOf(port: number, topic: string, name: string): Promise<number | undefined> {
  const response = await fetch(`http://127.0.0.1:${port}/stats?format=json&topic=${topic}`);
  const { topics } = (await response.json()) as Statistics;
  const channel = topics[0]?.channels.find(({ channel_name }) => channel_name === name);
  if (channel === undefined) return undefined;
  return channel.depth + channel.in_flight_count + channel.deferred_count;
}

async function listens(port: number, child: ChildProcess): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
    if (isUp) return;
    await sleep(10);
  }
}

function versionOf(path: string): string {
  const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
  const version = /^nsqd v\S+/.exec(stdout ?? "")?.[0];
  if (version === undefined) throw new Error(`NSQD=${path} does not say that it is nsqd`);
  return version;
}
