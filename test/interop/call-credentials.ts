import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  createService,
  memoryRegistry,
  memoryStore,
  silentLogger,
  tcpTransport,
} from "@micro-es/runtime";
import { anyAuth, jwtAuth, localAuth } from "@micro-es/runtime/auth";
import { registerGuardedServiceHandler } from "../gen/micro/test/v1/guarded_micro.ts";
import { TokenIssuer } from "../support/token-issuer.ts";
import type { Credentials } from "./credentials.ts";
import type { CaseResult } from "./matrix.ts";
import { type Command, type Missing, ours } from "./peers.ts";
import { runProgram } from "./process.ts";
import { pythonWithGrpc } from "./python.ts";

/** A call that a client makes with the call credentials of its library. */
export interface CredentialCall {
  readonly name: string;
  /** Such as `/micro.test.v1.GuardedService/Delete`. */
  readonly path: string;
  readonly kind: "unary" | "server_streaming" | "client_streaming" | "bidi_streaming";
  /** Absent for a call without credentials. */
  readonly token?: string;
}

const here = import.meta.dirname;
const scopes = ["documents.read", "documents.write"];

/** The rpcs that the clients call, one of each kind, and one that needs no credentials. */
const rpcs = {
  Delete: "unary",
  Read: "server_streaming",
  Write: "client_streaming",
  Edit: "bidi_streaming",
  About: "unary",
} as const;

/**
 * Calls a service of ours that verifies tokens, with TLS, by clients of other languages that send
 * them as call credentials: every kind of call, with valid and refused tokens of an issuer and of
 * our own. The clients must see the codes that gRPC gives to these refusals.
 *
 * @param scratch an empty folder
 * @param givesAllScopes whether the service makes the mistake of giving every token all scopes
 */
export async function runCallCredentials(
  scratch: string,
  tls: Credentials,
  givesAllScopes: boolean,
): Promise<readonly (CaseResult | Missing)[]> {
  await using store = memoryStore();
  await using own = localAuth({
    store,
    issuer: "own",
    audience: ["guarded"],
    logger: silentLogger,
  });
  const issuer = new TokenIssuer("https://issuer.example", "guarded");
  const all = givesAllScopes ? { scopesOf: () => scopes } : {};
  const verified = { issuer: issuer.issuer, audience: issuer.audience, keys: issuer.jwks };
  const identity = {
    cert: readFileSync(tls.certFile, "utf8"),
    key: readFileSync(tls.keyFile, "utf8"),
  };
  await using service = createService({
    name: "guarded",
    address: "127.0.0.1:0",
    registry: memoryRegistry(),
    transports: [tcpTransport({ tls: { server: { identity } } })],
    auth: anyAuth([jwtAuth({ ...verified, ...all }), own]),
    logger: silentLogger,
  });
  registerGuardedServiceHandler(service.server, {
    about: () => ({}),
    delete: () => ({}),
    async *read() {
      yield {};
      yield {};
    },
    async write(lines) {
      let count = 0;
      for await (const _ of lines) count++;
      return { lines: count };
    },
    async *edit(lines) {
      for await (const { line } of lines) yield { line };
    },
    onDocumentChanged: () => undefined,
  });
  await service.start();
  const { secret } = await own.generate("program", { scopes });
  const { accessToken } = await own.token({ grant: "secret", id: "program", secret });
  const expectations = callsWith(issuer, accessToken);
  const file = join(scratch, "calls.json");
  await writeFile(file, JSON.stringify(expectations.map(({ call }) => call)), { mode: 0o600 });

  const results: (CaseResult | Missing)[] = [];
  const [address = ""] = service.server.addresses;
  for (const [name, program] of Object.entries(await programs(scratch))) {
    if ("fix" in program) {
      results.push(program);
      continue;
    }
    const argv = [...program.argv, address, tls.certFile, file];
    const { status, stdout, stderr } = await runProgram({ argv });
    const codes = new Map<string, string>();
    for (const line of stdout.split("\n").filter((it) => it.startsWith("{"))) {
      const found = JSON.parse(line) as { name: string; code: string };
      codes.set(found.name, found.code);
    }
    const silence = `the client ended with ${status}: ${stderr.trim().split("\n").at(-1)}`;
    for (const { call, code } of expectations) {
      const found = codes.get(call.name) ?? silence;
      const error = found === code ? undefined : `found ${found}, wanted ${code}`;
      const client = `call credentials of ${name}`;
      results.push({ client, server: ours.name, tls: true, name: call.name, error });
    }
  }
  return results;
}

/** The calls that each client makes, with the codes that it must see. */
function callsWith(
  issuer: TokenIssuer,
  ownToken: string,
): readonly { readonly call: CredentialCall; readonly code: string }[] {
  const now = Math.floor(Date.now() / 1_000);
  const scope = scopes.join(" ");
  const of = (claims: object = {}, header = {}) =>
    issuer.token({ header, claims: { scope, ...claims } });
  const tokens: Readonly<Record<string, readonly [token: string | undefined, code: string]>> = {
    "a valid token": [of(), "OK"],
    "a token of localAuth": [ownToken, "OK"],
    "no token": [undefined, "UNAUTHENTICATED"],
    "an expired token": [of({ iat: now - 400, exp: now - 100 }), "UNAUTHENTICATED"],
    "a token for another service": [of({ aud: "orders" }), "UNAUTHENTICATED"],
    "an ID token": [of({ nonce: "n" }, { typ: "JWT" }), "UNAUTHENTICATED"],
    "a token with the wrong scope": [of({ scope: "documents.list" }), "PERMISSION_DENIED"],
  };
  return Object.entries(rpcs).flatMap(([rpc, kind]) =>
    Object.entries(tokens).map(([what, [token, code]]) => {
      const path = `/micro.test.v1.GuardedService/${rpc}`;
      const name = `${rpc}, ${kind}, with ${what}`;
      const call = { name, path, kind, ...(token !== undefined && { token }) };
      // Read needs an account and no scopes, About neither; a bad token is always refused.
      const isOpen =
        (code === "PERMISSION_DENIED" && (rpc === "Read" || rpc === "About")) ||
        (token === undefined && rpc === "About");
      return { call, code: isOpen ? "OK" : code };
    }),
  );
}

/** The client of each library, or how to get it. */
async function programs(scratch: string): Promise<Readonly<Record<string, Command | Missing>>> {
  const python = await pythonWithGrpc();
  return {
    "grpc-js": {
      argv: [process.execPath, "--import", "tsx", join(here, "grpc-js/call-credentials.ts")],
    },
    grpcio:
      python === undefined
        ? { name: "grpcio", fix: "apt-get install python3-grpcio python3-protobuf" }
        : { argv: [python, join(here, "python/call_credentials.py")] },
    "grpc-go": await goProgram(join(scratch, "call-credentials")),
  };
}

async function goProgram(program: string): Promise<Command | Missing> {
  try {
    const words = ["build", "-buildvcs=false", "-o", program, "./call-credentials"];
    await promisify(execFile)("go", words, { cwd: join(here, "grpc-go") });
    return { argv: [program] };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return { name: "grpc-go", fix: "install Go 1.25 or newer: https://go.dev/doc/install" };
  }
}
