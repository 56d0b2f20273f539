import { join } from "node:path";
import { goTool } from "../support/go-tool.ts";
import { compressionCases, coreCases } from "./cases.ts";
import type { Credentials } from "./credentials.ts";
import { pythonWithGrpc } from "./python.ts";

/** The release of grpc-go whose interop programs are the peer. */
const grpcGo = "1.84.0";
const here = import.meta.dirname;
const node = [process.execPath, "--import", "tsx", "--conditions=@micro-es/source"];

/** A command line with changes to the environment. */
export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Where a client finds a server. */
export interface Target {
  /** `host:port` */
  readonly address: string;
  /** The authority that signed the server's certificate; undefined without TLS. */
  readonly ca: string | undefined;
  /** Whether the server sees which requests are compressed. */
  readonly probe: boolean;
  /** A caching proxy in front of the server, if there is one. */
  readonly cache: string | undefined;
}

/** A gRPC implementation with its two programs. */
export interface Peer {
  readonly name: string;
  /** The cases that its client supports. */
  readonly clientCases: readonly string[];
  /** The cases that its server supports. */
  readonly serverCases: readonly string[];
  /** Whether its server sees which requests are compressed; most libraries hide it. */
  readonly seesCompression?: boolean;
  server(credentials: Credentials | undefined): Command;
  /**
   * The address in an output line that reports where the server listens; undefined for other lines.
   */
  address(line: string): string | undefined;
  /** A client that runs the cases and writes a line of JSON for each; or one program per case. */
  client(target: Target, cases: readonly string[]): Command | readonly Command[];
}

/** A peer missing on this machine, and how to get it. */
export interface Missing {
  readonly name: string;
  readonly fix: string;
}

const listening = (line: string) => /^listening (\S+)/.exec(line)?.[1];
const tlsFlags = (credentials: Credentials | undefined) =>
  credentials === undefined ? [] : ["--cert", credentials.certFile, "--key", credentials.keyFile];

export const ours: Peer = {
  name: "Micro-ES",
  clientCases: [...coreCases, ...compressionCases, "cacheable_unary"],
  serverCases: [
    ...coreCases,
    ...compressionCases,
    "cacheable_unary",
    "pick_first_unary",
    "rpc_soak",
    "channel_soak",
  ],
  seesCompression: true,
  server: (credentials) => ({
    argv: [...node, join(here, "programs/server.ts"), ...tlsFlags(credentials)],
  }),
  address: listening,
  client: ({ address, ca, probe, cache }, cases) => ({
    argv: [
      ...node,
      join(here, "programs/client.ts"),
      ...(probe ? ["--probe"] : []),
      ...(cache === undefined ? [] : ["--cache", cache]),
      ...["--address", `${ca === undefined ? "http" : "https"}://${address}`],
      ...(ca === undefined ? [] : ["--ca", ca]),
      ...cases,
    ],
  }),
};

/** Ours without gRPC: the same programs over the native protocol. */
export const oursNative: Peer = {
  ...ours,
  name: "Micro-ES, native",
  clientCases: coreCases,
  client(target, cases) {
    const { argv } = ours.client(target, cases) as Command;
    return { argv: argv.map((word) => word.replace(/^https?:\/\//, "")) };
  },
};

const grpcJs: Peer = {
  name: "grpc-js",
  clientCases: [...coreCases, ...compressionCases],
  // Its server compresses nothing.
  serverCases: [...coreCases, "client_compressed_unary", "client_compressed_streaming"],
  server: (credentials) => ({
    argv: [...node, join(here, "grpc-js/server.ts"), ...tlsFlags(credentials)],
  }),
  address: listening,
  client: ({ address, ca, probe }, cases) => ({
    argv: [
      ...node,
      join(here, "grpc-js/client.ts"),
      ...(probe ? ["--probe"] : []),
      ...["--address", address],
      ...(ca === undefined ? [] : ["--ca", ca]),
      ...cases,
    ],
  }),
};

const hostOf = (address: string) => address.slice(0, address.lastIndexOf(":"));
const portOf = (address: string) => address.slice(address.lastIndexOf(":") + 1);

async function grpcio(descriptors: string): Promise<Peer | Missing> {
  const name = "grpcio";
  const python = await pythonWithGrpc();
  if (python === undefined) {
    return {
      name,
      fix: "apt-get install python3-grpcio python3-protobuf, or pip install grpcio protobuf",
    };
  }
  const argv = (program: string) => [
    python,
    join(here, `python/${program}.py`),
    ...["--descriptors", descriptors],
  ];
  return {
    name,
    // Its client compresses all requests of a call or none.
    clientCases: [
      ...coreCases,
      ...compressionCases.filter((it) => it !== "client_compressed_streaming"),
    ],
    serverCases: [...coreCases, ...compressionCases],
    server: (credentials) => ({ argv: [...argv("server"), ...tlsFlags(credentials)] }),
    address: listening,
    client: ({ address, ca, probe }, cases) => ({
      argv: [
        ...argv("client"),
        ...(probe ? ["--probe"] : []),
        ...["--address", address],
        ...(ca === undefined ? [] : ["--ca", ca]),
        "--",
        ...cases,
      ],
    }),
  };
}

/** A program of grpc-go's interoperability tests, built at first use; undefined without Go. */
export function grpcGoProgram(side: "client" | "server"): Promise<string | undefined> {
  return goTool(`google.golang.org/grpc/interop/${side}`, grpcGo);
}

async function grpcGoPeer(): Promise<Peer | Missing> {
  const name = "grpc-go";
  const client = await grpcGoProgram("client");
  const server = await grpcGoProgram("server");
  if (client === undefined || server === undefined) {
    return { name, fix: "install Go 1.25 or newer: https://go.dev/doc/install" };
  }
  return {
    name,
    clientCases: [...coreCases, "pick_first_unary", "rpc_soak", "channel_soak"],
    serverCases: coreCases,
    server: (credentials) => ({
      argv: [
        server,
        ...["-port", "0"],
        ...(credentials === undefined
          ? []
          : [
              "-use_tls",
              "-tls_cert_file",
              credentials.certFile,
              "-tls_key_file",
              credentials.keyFile,
            ]),
      ],
      env: { GRPC_GO_LOG_SEVERITY_LEVEL: "info" },
    }),
    address: (line) =>
      /interop server listening on \S*:(\d+)/.exec(line)?.[1]?.replace(/^/, "127.0.0.1:"),
    client: ({ address, ca }, cases) =>
      cases.map((name) => ({
        argv: [
          client,
          // A busy machine must not cause failures.
          ...["-soak_per_iteration_max_acceptable_latency_ms", "20000"],
          ...["-soak_overall_timeout_seconds", "100"],
          ...["-server_host", hostOf(address), "-server_port", portOf(address), "-test_case", name],
          ...(ca === undefined ? [] : ["-use_tls", "-use_test_ca", "-ca_file", ca]),
        ],
      })),
  };
}

/** Third-party implementations: those present on this machine, and those missing. */
export async function foreignPeers(descriptors: string): Promise<readonly (Peer | Missing)[]> {
  return [grpcJs, await grpcio(descriptors), await grpcGoPeer()];
}
