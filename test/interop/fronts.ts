import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../support/free-ports.ts";
import type { Missing } from "./peers.ts";

/** A proxy that is placed in front of a server. */
export interface Front {
  readonly name: string;
  /** Starts it on a free port, in front of the server at an address. */
  start(target: string): Promise<RunningFront>;
}

export interface RunningFront {
  readonly address: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** How a proxy is configured and started. */
interface Program {
  readonly name: string;
  readonly command: string;
  readonly fix: string;
  configuration(port: number, target: string, directory: string): string;
  words(file: string, directory: string): readonly string[];
}

/** Distributions keep servers in a folder that not every user's PATH names. */
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };

/** Requests after which the proxies' connections end, as nginx has by default. */
const requestsOfConnection = 1_000;

/** @param places the upstreams and locations of the configuration */
const nginx = (places: (port: number, target: string) => string): Program => ({
  name: "nginx",
  command: "nginx",
  fix: "apt-get install nginx-light",
  configuration: (port, target, directory) => `
    daemon off;
    master_process off;
    pid ${directory}/nginx.pid;
    error_log stderr error;
    events { worker_connections 256; }
    http {
      access_log off;
      client_body_temp_path ${directory}/body;
      proxy_temp_path ${directory}/proxy;
      fastcgi_temp_path ${directory}/fastcgi;
      uwsgi_temp_path ${directory}/uwsgi;
      scgi_temp_path ${directory}/scgi;
      client_max_body_size 0;
${places(port, target)}
    }`,
  words: (file, directory) => ["-p", directory, "-c", file, "-e", "stderr"],
});

const nginxFront = nginx(
  (port, target) => `
      upstream service { server ${target}; keepalive 8; }
      server {
        listen 127.0.0.1:${port} http2;
        keepalive_requests ${requestsOfConnection};
        location / {
          grpc_pass grpc://service;
          grpc_set_header Host $host;
          grpc_read_timeout 60s;
          grpc_send_timeout 60s;
        }
      }`,
);

const nginxAlone = nginx(
  (port) => `
      server {
        listen 127.0.0.1:${port} http2;
        location / { return 200; }
      }`,
);

const haproxy: Program = {
  name: "HAProxy",
  command: "haproxy",
  fix: "apt-get install haproxy",
  configuration: (port, target) => `
    global
      maxconn 256
    defaults
      mode http
      timeout connect 10s
      timeout client 60s
      timeout server 60s
    frontend calls
      bind 127.0.0.1:${port} proto h2
      default_backend service
    backend service
      server one ${target} proto h2
`,
  words: (file) => ["-db", "-q", "-f", file],
};

/** The proxies of this machine, and those that are missing. */
export function fronts(): readonly (Front | Missing)[] {
  return [nginxFront, haproxy].map(frontOf);
}

/** An nginx that responds itself, or that it is missing. */
export function startNginx(): { readonly start: () => Promise<RunningFront> } | Missing {
  const front = frontOf(nginxAlone);
  return "fix" in front ? front : { start: () => front.start("") };
}

function frontOf(program: Program): Front | Missing {
  const { name, fix } = program;
  return spawnSync(program.command, ["-v"], { env }).error === undefined
    ? { name, start: (target) => startProxy(program, target) }
    : { name, fix };
}

async function startProxy(program: Program, target: string): Promise<RunningFront> {
  const directory = await mkdtemp(join(tmpdir(), "micro-es-front-"));
  const port = await freePort();
  const file = join(directory, "proxy.conf");
  await writeFile(file, program.configuration(port, target, directory));
  const child = spawn(program.command, program.words(file, directory), {
    stdio: ["ignore", "inherit", "inherit"],
    env,
  });
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    }
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await listens(child, port);
  } catch (reason) {
    await stop();
    throw new Error(`${program.name} does not listen: ${reason}`, { cause: reason });
  }
  return { address: `127.0.0.1:${port}`, pid: child.pid!, stop };
}

/** Waits until connections to the port are accepted. */
async function listens(child: ChildProcess, port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    const socket = connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    } finally {
      socket.destroy();
    }
  }
  throw new Error("it takes too long");
}
