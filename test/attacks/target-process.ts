import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { createService, MicroError, type Service, type ServiceOptions } from "@micro-es/runtime";
import {
  createTargetServiceClient,
  registerTargetServiceHandler,
} from "../gen/micro/attack/v1/target_micro.ts";

/**
 * The process that is attacked: a service with default limits. Its parent asks it for what it has
 * used, and has it make calls where a hostile server is the attacker.
 */

/** What an attack adds to the target. */
export interface TargetSetup {
  /** Options of the service. */
  options?(): Partial<ServiceOptions> | Promise<Partial<ServiceOptions>>;
  /** Called before the service starts. */
  beforeStart?(service: Service): unknown;
  /** Called after it started; what it returns is `target.details`, and must survive JSON. */
  afterStart?(service: Service): unknown;
  /** Performs what `target.perform(action)` asks for. */
  perform?(action: string, service: Service): unknown;
}

const setup: TargetSetup =
  process.env.ATTACK_SETUP === undefined ? {} : (await import(process.env.ATTACK_SETUP)).setup;

let puts = 0;
const wasted: Uint8Array[] = [];

/** Computes for so many milliseconds of CPU time, however busy the machine is. */
function compute(ms: number): void {
  const until = cpuNow() + ms;
  while (cpuNow() < until) for (let i = 0; i < 1_000; i++) Math.sqrt(i);
}

const service = createService({ name: "target", ...(await setup.options?.()) });
registerTargetServiceHandler(service.server, {
  say: ({ name, items }) => ({ text: `Hello ${name}`, count: items.length }),
  put: () => ({ count: ++puts }),
  async big({ size, waitMs }) {
    if (waitMs > 0) await sleep(waitMs);
    return { data: new Uint8Array(size) };
  },
  async hold({ name, waitMs }, { signal }) {
    await sleep(waitMs || 5_000, undefined, { signal });
    return { text: name };
  },
  async ignore(_requests, { signal }) {
    await sleep(60_000, undefined, { signal });
    return {};
  },
  async *watch({ size, waitMs }) {
    for (;;) {
      if (waitMs > 0) await sleep(waitMs);
      yield { data: new Uint8Array(size) };
    }
  },
  async *chat(requests) {
    for await (const request of requests) yield { text: request.name };
  },
  fail({ name }) {
    throw new MicroError("not_found", name);
  },
  async waste({ cpuMs, stallMs, heldBytes, exit, reject }) {
    for (let left = cpuMs; left > 0; left -= 10) {
      compute(10);
      await sleep(1);
    }
    compute(stallMs);
    if (heldBytes > 0) wasted.push(new Uint8Array(heldBytes).fill(1));
    if (reject) void Promise.reject(new Error("planted"));
    if (exit) process.exit(3);
    return {};
  },
});

const problems: string[] = [];
const problem = (what: string) => (reason: unknown) => {
  problems.push(`${what}: ${reason instanceof Error ? reason.stack : reason}`);
};
process.on("unhandledRejection", problem("unhandled rejection"));
process.on("uncaughtException", problem("uncaught exception"));

await setup.beforeStart?.(service);
await service.start();
const details = await setup.afterStart?.(service);
const client = createTargetServiceClient(service.client);

/** CPU time in milliseconds, without that of collections that the parent asked for. */
const cpuNow = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000 - collecting;
};
let collecting = 0;
let cpuAtReset = cpuNow();
let stall = 0;
let turnBegan = performance.now();
let cpuAtTurn = cpuNow();
const tickMs = 5;
// On a busy machine a turn lasts long without computing, so a stall counts by the lesser of wall
// and CPU time.
setInterval(() => {
  const now = performance.now();
  const cpu = cpuNow();
  stall = Math.max(stall, Math.min(now - turnBegan - tickMs, cpu - cpuAtTurn));
  turnBegan = now;
  cpuAtTurn = cpu;
}, tickMs).unref();

/**
 * Collects twice: V8 subtracts array buffers that a collection has freed from the memory outside of
 * the heap only at the next one.
 */
function collect(): void {
  const before = cpuNow();
  globalThis.gc?.();
  globalThis.gc?.();
  collecting += cpuNow() - before;
  turnBegan = performance.now();
  cpuAtTurn = cpuNow();
}

async function respond(message: Request): Promise<unknown> {
  switch (message.do) {
    case "measure": {
      collect();
      const { rss, heapUsed, external } = process.memoryUsage();
      return {
        rss,
        peakRss: process.resourceUsage().maxRSS * 1_024,
        held: heapUsed + external,
        cpuMs: cpuNow() - cpuAtReset,
        stallMs: stall,
        puts,
        inFlight: service.server.stats.inFlight,
        problems,
      };
    }
    case "reset":
      collect();
      cpuAtReset = cpuNow();
      stall = 0;
      return {};
    case "call":
      return await call(message);
    case "perform":
      return await setup.perform?.(message.action, service);
  }
}

type Request =
  | { readonly do: "measure" | "reset" }
  | { readonly do: "perform"; readonly action: string }
  | ({ readonly do: "call" } & CallRequest);

/** A call that the target makes. */
export interface CallRequest {
  readonly method: "say" | "put" | "watch";
  readonly address: string;
  readonly timeoutMs: number;
  /** Attempts of an idempotent call. Default 1. */
  readonly attempts?: number;
}

/** How a call of the target ended. */
export interface CallResult {
  /** `ok` or the code of the error. */
  readonly code: string;
  readonly outcome?: string;
  readonly message?: string;
  /** Messages that a stream delivered. */
  readonly messages: number;
  readonly tookMs: number;
}

async function call(request: CallRequest): Promise<CallResult> {
  const began = performance.now();
  const { address, timeoutMs, attempts = 1 } = request;
  const options = { address, timeoutMs, retry: attempts > 1 ? { attempts } : (false as const) };
  let messages = 0;
  try {
    if (request.method === "watch") for await (const _ of client.watch({}, options)) messages++;
    else await client[request.method]({}, options);
    return { code: "ok", messages, tookMs: performance.now() - began };
  } catch (error) {
    const tookMs = performance.now() - began;
    if (!(error instanceof MicroError))
      return { code: "not a MicroError", message: String(error), messages, tookMs };
    const { code, outcome, message } = error;
    return { code, outcome, message, messages, tookMs };
  }
}

process.on("message", async ({ id, ...request }: Request & { id: number }) => {
  try {
    process.send?.({ id, value: await respond(request as Request) });
  } catch (error) {
    process.send?.({ id, error: String(error) });
  }
});
process.on("disconnect", () => process.exit());
process.send?.({ ready: { address: service.server.addresses[0], details } });
