import type { AnyMethod, CallContext, Server, Transport } from "@micro-es/runtime";
import type { Listener } from "@micro-es/runtime/driver";
import type { Rule, Rules, ScopeGrant } from "../../runtime/src/auth/auth.ts";
import { RuleSet } from "../../runtime/src/auth/rule-set.ts";
import { BackendStatus } from "../../runtime/src/base/backend-state.ts";
import type { MethodAuth } from "../../runtime/src/call/method.ts";
import { buildServer } from "../../runtime/src/server/rpc-server.ts";
import type { EchoRequest } from "../gen/micro/test/v1/echo_pb.ts";
import { type EchoMethod, type EchoResponseInit, echo } from "../support/echo.ts";
import { recordingLogger } from "../support/server.ts";
import { TokenAuth } from "./token-auth.ts";

function guarded(rpc: string, like: EchoMethod, auth?: MethodAuth): EchoMethod {
  const name = `micro.test.v1.Guarded/${rpc}`;
  return { ...like, service: "guarded", name, ...(auth !== undefined && { auth }) };
}

/** Methods with every kind of access that a schema can state. */
export const methods = {
  open: guarded("Open", echo.echo, { public: true }),
  any: guarded("Any", echo.echo, {}),
  scoped: guarded("Scoped", echo.echo, { scopes: ["echo.write"] }),
  unspecified: guarded("Unspecified", echo.echo),
  granted: guarded("Granted", echo.echo),
  denied: guarded("Denied", echo.echo, {}),
  watch: guarded("Watch", echo.repeat, {}),
  chat: guarded("Chat", echo.chat, {}),
} as const;

const rule = (id: string, access: Rule["access"], method: AnyMethod): Rule => ({
  id,
  access,
  priority: 1,
  resource: { type: "method", name: method.name },
  subject: {},
});

/** Rules that a test replaces as a whole. */
class TableOfRules extends BackendStatus implements Rules {
  readonly name = "table";
  version = 1;
  #rules = new RuleSet([
    rule("grant-granted", "granted", methods.granted),
    rule("deny-denied", "denied", methods.denied),
  ]);
  readonly #listeners = new Set<() => void>();

  verify(...of: Parameters<Rules["verify"]>) {
    return this.#rules.verify(...of);
  }
  scopesOf(...of: Parameters<Rules["scopesOf"]>) {
    return this.#rules.scopesOf(...of);
  }
  async grant(entry: Rule | ScopeGrant): Promise<void> {
    this.#rules = new RuleSet([...this.#rules.entries, entry]);
    this.version++;
    for (const listener of this.#listeners) listener();
  }
  async revoke(): Promise<boolean> {
    return false;
  }
  list() {
    return this.#rules.entries;
  }
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  async close(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}

/** A server of {@link methods} with auth. */
export interface GuardedServer extends AsyncDisposable {
  readonly server: Server;
  readonly auth: TokenAuth;
  readonly rules: Rules;
  readonly log: ReturnType<typeof recordingLogger>;
  /** Calls that reached a handler, with the id of the caller. */
  readonly handled: [method: string, account: string | undefined][];
  /** Signals of the streams that reached a handler. */
  readonly signals: AbortSignal[];
  readonly listener: Listener;
}

/** @param more further methods that it serves, which are unary */
export async function startGuardedServer(
  transport: Transport,
  address: string,
  more: readonly EchoMethod[] = [],
): Promise<GuardedServer> {
  const auth = new TokenAuth();
  const rules = new TableOfRules();
  const log = recordingLogger();
  const handled: GuardedServer["handled"] = [];
  const signals: AbortSignal[] = [];
  const listeners: Listener[] = [];
  const listening: Transport = {
    ...transport,
    async listen(...where) {
      const listener = await transport.listen(...where);
      listeners.push(listener);
      return listener;
    },
  };
  const server = buildServer({
    name: "guarded",
    listen: [{ transport: listening, address }],
    logger: log,
    drainDelayMs: 0,
    auth,
    access: { rules },
  });
  const note = (context: CallContext) => {
    const { method, account } = context;
    handled.push([method.name.slice(method.name.indexOf("/") + 1), account?.id]);
  };
  const { watch, chat, ...unary } = methods;
  for (const method of [...Object.values(unary), ...more]) {
    server.unary(method, (request, context) => {
      note(context);
      return { text: request.text };
    });
  }
  async function* until(context: CallContext): AsyncGenerator<EchoResponseInit> {
    note(context);
    signals.push(context.signal);
    yield { text: "begun" };
    await new Promise<void>((resolve) => {
      context.signal.addEventListener("abort", () => resolve());
    });
  }
  server.serverStream(watch, (_request: EchoRequest, context) => until(context));
  server.bidi(chat, async function* (requests, context) {
    note(context);
    signals.push(context.signal);
    for await (const { text } of requests) yield { text };
  });
  await server.start();
  return {
    server,
    auth,
    rules,
    log,
    handled,
    signals,
    listener: listeners[0]!,
    [Symbol.asyncDispose]: () => server.close(),
  };
}
