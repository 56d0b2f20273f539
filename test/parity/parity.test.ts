import {
  type Code,
  deadlineAfter,
  goMicroTransport,
  httpTransport,
  Metadata,
  type MetadataInit,
  MicroError,
  type Outcome,
  tcpTransport,
} from "@micro-es/runtime";
import { codeFromNumber } from "@micro-es/runtime/codes";
import type { Channel, Listener, OutgoingCall } from "@micro-es/runtime/driver";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answering } from "../contract/transport-fixture.ts";
import type { EchoRequest } from "../gen/micro/test/v1/echo_pb.ts";
import { type EchoMethod, type EchoRequestInit, echo } from "../support/echo.ts";

/**
 * One table of calls, with one expected result each, over every protocol that one port speaks. Each
 * case is called by its name, which the handler looks up here too.
 */

interface Answer {
  readonly texts?: readonly string[];
  readonly payload?: Uint8Array;
  readonly metadata?: MetadataInit;
  readonly trailers?: MetadataInit;
  readonly error?: MicroError;
  /** Never answers by itself. */
  readonly hangs?: boolean;
}

interface Expected {
  readonly texts: readonly string[];
  readonly code?: Code;
  readonly message?: string;
  readonly outcome?: Outcome;
}

interface Case {
  readonly name: string;
  readonly method: EchoMethod;
  readonly requests: readonly EchoRequestInit[];
  readonly answer: Answer;
  readonly call?: Partial<OutgoingCall>;
  readonly expected: Expected;
}

const cases: Case[] = [];

for (let number = 1; number <= 16; number++) {
  const code = codeFromNumber(number);
  const error = new MicroError(code, `it is ${code}`, { outcome: "executed" });
  const expected = { texts: [], code, message: `it is ${code}`, outcome: "executed" } as const;
  cases.push(
    {
      name: `unary ${code}`,
      method: echo.echo,
      requests: [{}],
      answer: { error },
      expected,
    },
    {
      name: `stream ${code} after a response`,
      method: echo.repeat,
      requests: [{}],
      answer: { texts: ["before"], error },
      expected: { ...expected, texts: ["before"] },
    },
  );
}

const metadata: Record<string, MetadataInit> = {
  "one text": { "x-tenant": "one" },
  "a text with commas and blanks": { "x-tenant": "a, b,c  d" },
  "an empty text": { "x-tenant": "" },
  bytes: { "token-bin": Uint8Array.of(0, 1, 254, 255) },
  "no bytes": { "token-bin": new Uint8Array(0) },
  "several bytes of a key": [
    ["token-bin", Uint8Array.of(1)],
    ["token-bin", Uint8Array.of(2, 3)],
  ],
  "authorization and trace context": {
    authorization: "Bearer abc.def",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  },
  "thirty keys": Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`x-key-${i}`, `${i}`])),
};
for (const [what, init] of Object.entries(metadata)) {
  for (const [kind, method] of [
    ["unary", echo.echo],
    ["conversation", echo.chat],
  ] as const) {
    cases.push({
      name: `${kind}: ${what} in all directions`,
      method,
      requests: [{}],
      answer: { texts: ["yes"], metadata: init, trailers: init },
      call: { metadata: new Metadata(init) },
      expected: { texts: ["yes"] },
    });
  }
}

const detail = (value: number) => ({
  typeName: "google.protobuf.Duration",
  value: Uint8Array.of(8, value),
});
const errors: Record<string, MicroError> = {
  "a detail": new MicroError("invalid_argument", "bad", {
    outcome: "executed",
    details: [detail(1)],
  }),
  "three details": new MicroError("aborted", "bad", {
    outcome: "executed",
    details: [detail(1), detail(2), detail(3)],
  }),
  "no text": new MicroError("not_found", "", { outcome: "executed" }),
  "text of all languages, line breaks and percent signs": new MicroError(
    "internal",
    "100% of \t Größe\r\n 三 😈",
    { outcome: "executed" },
  ),
  "a push-back": new MicroError("unavailable", "later", {
    outcome: "not-executed",
    retryAfterMs: 250,
  }),
  "an unknown outcome": new MicroError("unavailable", "perhaps"),
};
for (const [what, error] of Object.entries(errors)) {
  const expected = {
    texts: [],
    code: error.code,
    message: error.message,
    outcome: error.outcome,
  };
  for (const [kind, method] of [
    ["unary", echo.echo],
    ["collecting", echo.collect],
  ] as const) {
    cases.push({
      name: `${kind}: an error with ${what}, with metadata and trailers`,
      method,
      requests: [{}],
      answer: { error, metadata: { "x-served": "a" }, trailers: { "x-cost": "7" } },
      expected,
    });
  }
}

cases.push(
  {
    name: "unary: an empty message",
    method: echo.echo,
    requests: [{}],
    answer: { texts: [""] },
    expected: { texts: [""] },
  },
  {
    name: "unary: a large message",
    method: echo.echo,
    requests: [{ payload: new Uint8Array(300_000).fill(7) }],
    answer: { texts: ["large"], payload: new Uint8Array(300_000).fill(9) },
    expected: { texts: ["large"] },
  },
  {
    name: "a stream of nothing",
    method: echo.repeat,
    requests: [{}],
    answer: { texts: [], trailers: { "x-cost": "0" } },
    expected: { texts: [] },
  },
  {
    name: "a stream of many",
    method: echo.repeat,
    requests: [{}],
    answer: { texts: Array.from({ length: 200 }, (_, index) => `${index}`) },
    expected: { texts: Array.from({ length: 200 }, (_, index) => `${index}`) },
  },
  {
    name: "a conversation that only the caller leads",
    method: echo.chat,
    requests: [{ text: "a" }, {}, { text: "c" }],
    answer: { texts: [] },
    expected: { texts: [] },
  },
  {
    name: "an error and nothing before it: trailers only",
    method: echo.chat,
    requests: [],
    answer: { error: errors["no text"] as MicroError, trailers: { "x-cost": "1" } },
    expected: { texts: [], code: "not_found", message: "", outcome: "executed" },
  },
);

for (const [kind, method] of Object.entries(echo)) {
  cases.push(
    {
      name: `${kind}: a deadline that passes`,
      method,
      requests: [{}],
      answer: { hangs: true },
      call: { deadline: 60 },
      expected: { texts: [], code: "deadline_exceeded" },
    },
    {
      name: `${kind}: a call that is cancelled`,
      method,
      requests: [{}],
      answer: { hangs: true },
      call: { signal: new AbortController().signal },
      expected: { texts: [], code: "canceled" },
    },
  );
}

const byName = new Map(cases.map((each) => [each.name, each.answer]));
const hanging = new Map<string, () => void>();

function answerOf(name: string): Answer {
  const answer = byName.get(name);
  if (answer === undefined) throw new MicroError("internal", `no case ${name}`);
  return answer;
}

const dispatcher = answering({
  async unary(request, call) {
    const answer = answerOf(caseOf(request, call.requestMetadata));
    prepare(answer, call);
    if (answer.hangs) await hang(call.signal, caseOf(request, call.requestMetadata));
    if (answer.error !== undefined) throw answer.error;
    return { text: answer.texts?.[0] ?? "", payload: answer.payload ?? new Uint8Array(0) };
  },
  async *stream(requests, call) {
    const name = caseOf(undefined, call.requestMetadata);
    const answer = answerOf(name);
    prepare(answer, call);
    if (answer.hangs) await hang(call.signal, name);
    for await (const _ of requests);
    for (const text of answer.texts ?? []) yield { text };
    if (answer.error !== undefined) throw answer.error;
  },
});

function caseOf(_request: EchoRequest | undefined, metadata: Metadata): string {
  return Buffer.from(metadata.getBinary("case-bin") ?? []).toString();
}

function prepare(
  answer: Answer,
  call: { responseMetadata: Metadata; trailers: Metadata; requestMetadata: Metadata },
): void {
  if (answer.metadata !== undefined) call.responseMetadata.assign(answer.metadata);
  if (answer.trailers !== undefined) call.trailers.assign(answer.trailers);
  for (const [key, value] of call.requestMetadata) {
    if (key.startsWith("x-") || key === "token-bin") call.trailers.append(`said-${key}`, value);
  }
}

function hang(signal: AbortSignal, name: string): Promise<never> {
  hanging.get(name)?.();
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

let listener: Listener;
const channels = new Map<string, Channel>();

beforeAll(async () => {
  listener = await tcpTransport().listen("127.0.0.1:0", dispatcher);
  const transports = {
    native: tcpTransport(),
    gRPC: httpTransport({ protocol: "grpc" }),
    "gRPC-Web": httpTransport({ protocol: "grpc-web" }),
    "Connect binary": httpTransport({ protocol: "connect" }),
    "Connect JSON": httpTransport({ protocol: "connect", encoding: "json" }),
    "go-micro": goMicroTransport(),
    "go-micro JSON": goMicroTransport({ encoding: "json" }),
  };
  for (const [name, transport] of Object.entries(transports)) {
    channels.set(name, await transport.dial(listener.address));
  }
});

afterAll(async () => {
  for (const channel of channels.values()) await channel.close();
  await listener.close();
});

/** All that a caller learns of a call. */
async function run(channel: Channel, each: Case): Promise<unknown> {
  const { name, method } = each;
  const controller = each.call?.signal === undefined ? undefined : new AbortController();
  if (controller !== undefined) hanging.set(name, () => controller.abort());
  const call: OutgoingCall = {
    deadline: deadlineAfter(each.call?.deadline ?? 10_000),
    metadata: new Metadata(each.call?.metadata).set("case-bin", Buffer.from(name)),
    signal: controller?.signal,
    responseMetadata: undefined,
    trailers: undefined,
  };
  const texts: string[] = [];
  let payload = 0;
  let error: MicroError | undefined;
  try {
    if (method.kind === "unary") {
      const answer = await channel.unary(method, each.requests[0] ?? {}, call);
      texts.push(answer.text);
      payload = answer.payload.length;
    } else {
      for await (const { text } of channel.stream(method, each.requests, call)) texts.push(text);
    }
  } catch (reason) {
    if (!(reason instanceof MicroError)) throw reason;
    error = reason;
  }
  const ownEnd = each.answer.hangs === true;
  return {
    texts,
    payload,
    code: error?.code,
    message: ownEnd ? undefined : error?.message,
    outcome: error?.outcome,
    retryAfterMs: error?.retryAfterMs,
    details: error?.details.map((it) => [it.typeName, [...it.value]]) ?? [],
    responseMetadata: ownEnd ? [] : plain(call.responseMetadata),
    trailers: ownEnd ? [] : plain(call.trailers),
  };
}

function plain(metadata: Metadata | undefined): unknown[] {
  return [...(metadata ?? [])]
    .map(([key, value]) => `${key}: ${Buffer.from(value).toString("hex")}`)
    .sort();
}

test(`the table has ${cases.length} cases with unique names`, () => {
  expect(byName.size).toBe(cases.length);
  expect(cases.length).toBeGreaterThanOrEqual(60);
});

describe("every protocol gives the same result", () => {
  for (const each of cases) {
    test(each.name, async () => {
      const results: Record<string, unknown> = {};
      for (const [name, channel] of channels) results[name] = await run(channel, each);
      const { native, ...others } = results;
      expect(native).toMatchObject({ ...each.expected });
      for (const [name, result] of Object.entries(others))
        expect({ [name]: result }).toEqual({ [name]: native });
    });
  }
});
