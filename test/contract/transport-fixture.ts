import assert from "node:assert/strict";
import {
  type AnyMethod,
  type Awaitable,
  type Code,
  deadlineAfter,
  type Metadata,
  MicroError,
  type Outcome,
  type Transport,
} from "@micro-es/runtime";
import type {
  Channel,
  Dispatcher,
  Listener,
  ListenOptions,
  OutgoingCall,
  ServerCall,
  TransportLimits,
} from "@micro-es/runtime/driver";
import type { EchoRequest } from "../gen/micro/test/v1/echo_pb.ts";
import { type EchoResponseInit, echo } from "../support/echo.ts";

/** The implementation under test. */
export interface TransportUnderTest {
  create(limits?: Partial<TransportLimits>): Transport;
  /** A free address to listen at. */
  freeAddress(): string;
  /** A well-formed address without a listener. */
  readonly nowhere: string;
  /** Converts the address of a listener into the one to dial. Default: the same address. */
  readonly dialled?: (address: string) => string;
  /** An address of another transport. Default `http://example.com/`. */
  readonly foreign?: string;
  /** The error code for bytes that are not a valid message. Default `invalid_argument`. */
  readonly unreadable?: Code;
  /** How far a writer may be ahead of its reader; the default is the native protocol's. */
  readonly ahead?: Ahead;
}

/** How a transport counts the data that a writer is ahead, in bytes. */
export interface Ahead {
  /** The least that a nearly empty message counts. */
  readonly smallMessage: number;
  /** The amount that both sides may hold in addition to `streamWindowBytes`. */
  readonly beside: number;
}

const natively: Ahead = { smallMessage: 60, beside: 0 };

/** The most messages of that size that a writer may be ahead of its reader. */
export function mostAhead(under: TransportUnderTest, windowBytes: number, payload: number): number {
  const { smallMessage, beside } = under.ahead ?? natively;
  return Math.floor((windowBytes + beside) / Math.max(payload, smallMessage)) + 1;
}

/** Implementations of the rpcs that a test calls, by the name of the rpc. */
export interface Answers {
  readonly unary?: (request: EchoRequest, call: ServerCall) => Awaitable<unknown>;
  readonly stream?: (
    requests: AsyncIterable<EchoRequest>,
    call: ServerCall,
  ) => AsyncIterable<EchoResponseInit>;
}

/** A dispatcher of the echo service that implements all rpcs in one way. */
export function answering(answers: Answers): Dispatcher {
  const methods = new Map<string, AnyMethod>(
    Object.values(echo).map((method) => [method.name, method]),
  );
  return {
    method: (name) => methods.get(name),
    methodOfEndpoint(endpoint, service) {
      const [, rpc] = /^EchoService\.(\w+)$/.exec(endpoint) ?? [];
      const method = methods.get(`micro.test.v1.EchoService/${rpc}`);
      return service === undefined || service === method?.service ? method : undefined;
    },
    unary(call, request) {
      assert.ok(answers.unary, `${call.method.name} was not expected`);
      return answers.unary(request as EchoRequest, call);
    },
    stream(call, requests) {
      assert.ok(answers.stream, `${call.method.name} was not expected`);
      return answers.stream(requests as AsyncIterable<EchoRequest>, call);
    },
  };
}

/** A listener with one channel to it. */
export interface Link {
  readonly transport: Transport;
  readonly listener: Listener;
  readonly channel: Channel;
}

/** Differences of a test's link from the default. */
export interface LinkOptions extends ListenOptions {
  readonly limits?: Partial<TransportLimits>;
  /** Further functions of the dispatcher. */
  readonly hooks?: Pick<Dispatcher, "invalidResponse" | "unknownMethod">;
}

/** Runs a test on a link, which must have no call left at its end. */
export async function onLink(
  under: TransportUnderTest,
  answers: Answers,
  test: (link: Link) => Promise<void>,
  options: LinkOptions = {},
): Promise<void> {
  const transport = under.create(options.limits);
  const dispatcher = { ...answering(answers), ...options.hooks };
  const listener = await transport.listen(under.freeAddress(), dispatcher, options);
  const channel = await transport.dial(listener.address);
  try {
    await test({ transport, listener, channel });
    await until(() => channel.openCalls === 0 && listener.openCalls === 0);
  } finally {
    await channel.close();
    await listener.close();
  }
}

/** The caller's options of a call. */
export interface CallInit {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly metadata?: Metadata;
}

/** Longer than anything takes, even on a busy machine, in milliseconds. */
const patienceMs = 60_000;

export function outgoing(init: CallInit = {}): OutgoingCall {
  return {
    deadline: deadlineAfter(init.timeoutMs ?? patienceMs),
    metadata: init.metadata,
    signal: init.signal,
    responseMetadata: undefined,
    trailers: undefined,
  };
}

/** Fails unless the promise rejects as expected, and returns its error. */
export async function failure(
  operation: Promise<unknown>,
  code: Code,
  outcome?: Outcome,
): Promise<MicroError> {
  const error = await operation.then(
    (value) => assert.fail(`did not fail, but gave ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof MicroError, `failed with ${String(error)}, no MicroError`);
  assert.equal(error.code, code, error.message);
  if (outcome !== undefined) assert.equal(error.outcome, outcome, error.message);
  return error;
}

/** Collects every message of a stream. */
export async function all<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const message of messages) collected.push(message);
  return collected;
}

/** Waits for a condition, without assuming how long it takes. */
export async function until(condition: () => boolean): Promise<void> {
  const patient = performance.now() + patienceMs;
  while (!condition()) {
    assert.ok(performance.now() < patient, `waited in vain for ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Waits until a figure no longer changes. */
export async function settled(figure: () => number): Promise<number> {
  for (;;) {
    const before = figure();
    await new Promise((resolve) => setTimeout(resolve, 25));
    if (figure() === before) return before;
  }
}

/** A promise that is settled from outside. */
export interface Gate<T = void> {
  readonly promise: Promise<T>;
  open(value: T): void;
}

export function gate<T = void>(): Gate<T> {
  let open!: (value: T) => void;
  const promise = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

/** Resolves when a call is cancelled, with the reason of its handler's signal. */
export function cancellation(call: ServerCall): Promise<MicroError> {
  return new Promise((resolve) => {
    if (call.signal.aborted) resolve(call.signal.reason);
    call.signal.addEventListener("abort", () => resolve(call.signal.reason));
  });
}

/**
 * Calls without a pause from one process to another while something is done to their connections;
 * each call is handled once. The callback waits for responses after each fault.
 */
export async function callsSurvive(
  here: Transport,
  there: Transport,
  under: Pick<TransportUnderTest, "freeAddress">,
  faults: (moreResponses: () => Promise<void>) => Promise<void>,
): Promise<void> {
  let handled = 0;
  const dispatcher = answering({
    unary: async (request) => {
      handled++;
      await new Promise((resolve) => setTimeout(resolve, 5));
      return { text: request.text };
    },
  });
  const listener = await there.listen(under.freeAddress(), dispatcher);
  const channel = await here.dial(listener.address);
  let stopped = false;
  let answered = 0;
  const call = async (caller: number) => {
    for (let turn = 0; !stopped; turn++) {
      const text = `${caller}:${turn}`;
      const answer = await channel.unary(echo.once, { text }, outgoing({ timeoutMs: 60_000 }));
      assert.equal(answer.text, text);
      answered++;
    }
  };
  const callers = Array.from({ length: 8 }, (_, caller) => call(caller));
  const calling = Promise.all(callers);
  const moreResponses = async () => {
    const before = answered;
    await Promise.race([until(() => answered > before + 20), calling]);
  };
  await moreResponses();
  await faults(moreResponses);
  stopped = true;
  await calling;
  assert.equal(handled, answered);
  await channel.close();
  await listener.close();
}
