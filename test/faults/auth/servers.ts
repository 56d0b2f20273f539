import { ownFleet, type Program, startProgram } from "../../support/process.ts";
import type { TokenIssuer } from "../../support/token-issuer.ts";

/** Where a server has its accounts, keys and rules. */
export interface ServerBackend {
  readonly servers: string;
  readonly bucket: string;
  /** A folder for what is kept for a start without the store; none by default. */
  readonly kept?: string;
  /** Whether the store is read every few seconds, because it has no watch. Default false. */
  readonly polled?: boolean;
  /** A folder with the PEM of its TLS identity and of its clients' authority; no TLS by default. */
  readonly certificates?: string;
}

/** A service that requires accounts, in a process of its own. */
export interface GuardedServer extends AsyncDisposable {
  readonly address: string;
  /** How long its start took, in milliseconds. */
  readonly readyMs: number;
  /** What it has logged. */
  readonly log: string;
  stop(): Promise<void>;
}

const file = new URL("server.ts", import.meta.url);

export async function startGuarded(backend: ServerBackend): Promise<GuardedServer> {
  const program: Program = startProgram(file, ownFleet(), [JSON.stringify(backend)]);
  const listening = (await program.told("listening")) as { address: string; readyMs: number };
  return {
    ...listening,
    get log() {
      return program.stderr;
    },
    async stop() {
      program.send("stop");
      await program.ended;
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** Where a service finds the keys of an issuer, and how often it reads them. */
export interface KeyPlace {
  readonly jwks: string;
  readonly refreshMs: number;
}

/** A service that accepts the tokens of an issuer, in a process of its own. */
export interface TokenServer extends AsyncDisposable {
  readonly address: string;
  readonly program: Program;
}

/**
 * @param fault `leaky` plants one that keeps every account
 * @param flags of Node's
 */
export async function startTokenServer(
  { issuer, audience }: TokenIssuer,
  { jwks, refreshMs }: KeyPlace,
  fault = "",
  flags: readonly string[] = [],
): Promise<TokenServer> {
  const words = [issuer, audience, jwks, `${refreshMs}`, fault];
  const program = startProgram(
    new URL("token-server.ts", import.meta.url),
    ownFleet(),
    words,
    flags,
  );
  const { address } = (await program.told("listening")) as { address: string };
  return { address, program, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() };
}
