import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { freePorts } from "@micro-es/test-support/free-ports";
import { ServerProcess } from "@micro-es/test-support/server-process";

/** The version of Google's module that the fake is part of; test/setup builds it. */
const version = "2.9.0";
const program: string = join(import.meta.dirname, `../../../.tools/pstest-${version}/pstest`);

/** The fake that is started, with its version; undefined when there is none. */
export const pubSubVersion: string | undefined = existsSync(program)
  ? `pstest ${version}`
  : undefined;

if (pubSubVersion === undefined) {
  const message =
    "pstest is not built, so nothing is tested against Google's fake of Pub/Sub: install Go and run test/setup";
  if (process.env.CI === "true") throw new Error(message);
  console.error(`\n*** SKIPPED: ${message} ***\n`);
}

/** Tests against Pub/Sub do not run without the fake; in CI that is an error instead. */
export const skipWithoutPubSub = pubSubVersion === undefined;

/** Google's fake of Pub/Sub, on a free port. It keeps everything in memory. */
export interface PubSubServer extends AsyncDisposable {
  /** For clients. */
  readonly address: string;
  readonly port: number;
  readonly running: boolean;
  /** Ends it, and all that it has. */
  stop(signal?: "SIGKILL" | "SIGTERM"): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  /** The ids of all events that were published on topics of this name, without the driver. */
  publishedIds(topic: string): Promise<readonly string[]>;
  /** Starts it again where it was, without topics and subscriptions. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export async function startPubSub(): Promise<PubSubServer> {
  const [port = 0, reportPort] = await freePorts(2);
  const address = `127.0.0.1:${port}`;
  const report = `127.0.0.1:${reportPort}`;
  const server = new ServerProcess("pubsub", () => ({
    path: program,
    flags: [address, report],
    ready: listens,
  }));
  try {
    await server.start();
  } catch (error) {
    await server.close();
    throw error;
  }
  return {
    address,
    port,
    get running() {
      return server.running;
    },
    start: () => server.start(),
    stop: (signal) => server.stop(signal),
    async publishedIds(topic) {
      const response = await fetch(`http://${report}`);
      const all = (await response.json()) as readonly { topic: string; id: string }[];
      return all.filter((each) => each.topic.endsWith(`.${topic}`)).map(({ id }) => id);
    },
    signal: (name) => server.signal(name),
    close: () => server.close(),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

/** It prints its address once it listens. */
function listens(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.stdout?.once("data", () => resolve());
  });
}
