import {
  deadlineAfter,
  type Logger,
  MemoryNetwork,
  type Method,
  MicroError,
  memoryTransport,
  type Server,
} from "@micro-es/runtime";
import type { Channel, OutgoingCall } from "@micro-es/runtime/driver";
import { buildServer } from "../../runtime/src/server/rpc-server.ts";
import type { ServerParts } from "../../runtime/src/server/server-parts.ts";
import { type EchoHandler, echo, echoHandler } from "./echo.ts";

/** One line that something logged. */
export interface LogLine {
  readonly level: keyof Logger;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** A logger that keeps its lines. */
export function recordingLogger(): Logger & { readonly lines: readonly LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: keyof Logger) => (fields: LogLine["fields"], message: string) => {
    lines.push({ level, fields, message });
  };
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** What a call is sent with, as the client makes it. */
export function outgoing(options: Partial<OutgoingCall> = {}): OutgoingCall {
  return {
    deadline: deadlineAfter(10_000),
    metadata: undefined,
    signal: undefined,
    responseMetadata: undefined,
    trailers: undefined,
    ...options,
  };
}

/** A server on a memory transport of its own, with a channel to it. */
export interface MemoryServer extends AsyncDisposable {
  readonly server: Server;
  readonly channel: Channel;
  readonly log: ReturnType<typeof recordingLogger>;
}

/** Starts a server whose handlers `register` adds; default: those of {@link echoHandler}. */
export async function startMemoryServer(
  register: (server: Server) => void = (server) => registerEcho(server),
  parts: Partial<ServerParts> = {},
): Promise<MemoryServer> {
  const log = recordingLogger();
  const transport = memoryTransport({ network: new MemoryNetwork() });
  const server = buildServer({
    name: "echo",
    listen: [{ transport, address: "memory:0" }],
    logger: log,
    drainDelayMs: 0,
    ...parts,
  });
  register(server);
  await server.start();
  const channel = await transport.dial(server.addresses[0] ?? "");
  return {
    server,
    channel,
    log,
    async [Symbol.asyncDispose]() {
      await channel.close();
      await server.close();
    },
  };
}

/** Registers an echo handler as generated code would. */
export function registerEcho(server: Server, handler: EchoHandler = echoHandler()): void {
  server.unary(echo.echo, (request, context) => handler.echo(request, context));
  server.unary(echo.once, (request, context) => handler.once(request, context));
  server.serverStream(echo.repeat, (request, context) => handler.repeat(request, context));
  server.clientStream(echo.collect, (requests, context) => handler.collect(requests, context));
  server.bidi(echo.chat, (requests, context) => handler.chat(requests, context));
}

/**
 * The error that a call fails with. Fails itself when the call succeeds or throws anything else.
 */
export async function errorOf(
  call: Promise<unknown> | AsyncIterable<unknown>,
): Promise<MicroError> {
  try {
    if (Symbol.asyncIterator in call) for await (const _ of call);
    else await call;
  } catch (reason) {
    if (reason instanceof MicroError) return reason;
    throw new Error("the call failed with an error that is not a MicroError", { cause: reason });
  }
  throw new Error("the call succeeded");
}

/** Calls a method of any kind on a channel, with one request. */
export function call<I, IInit, O, OInit>(
  channel: Channel,
  method: Method<I, IInit, O, OInit>,
  request: IInit,
  options?: Partial<OutgoingCall>,
): Promise<O> | AsyncIterable<O> {
  return method.kind === "unary"
    ? channel.unary(method, request, outgoing(options))
    : channel.stream(method, [request], outgoing(options));
}
