import { deepStrictEqual, fail } from "node:assert";
import {
  type CallOptions,
  createClient,
  httpTransport,
  MicroError,
  memoryRegistry,
  type Transport,
} from "@micro-es/runtime";
import {
  createEchoServiceClient,
  type EchoServiceClient,
} from "../gen/micro/test/v1/echo_micro.ts";

/** The result of one kind of call, which the program prints as a line of JSON. */
export interface Finding {
  readonly what: string;
  readonly problem?: string;
}

// Calls the service at the address of the first argument by the protocol of the second.

const protocols: Readonly<Record<string, { scheme: string; transport?: Transport }>> = {
  native: { scheme: "" },
  gRPC: { scheme: "http://", transport: httpTransport({ protocol: "grpc" }) },
  Connect: { scheme: "http://", transport: httpTransport({ protocol: "connect" }) },
  "Connect over HTTP/1.1": {
    scheme: "http://",
    transport: httpTransport({ protocol: "connect", httpVersion: "1.1" }),
  },
};

const payload = Uint8Array.from({ length: 300_000 }, (_, index) => index);

const calls: Readonly<
  Record<string, (echo: EchoServiceClient, options: CallOptions) => Promise<void>>
> = {
  unary: async (echo, to) => {
    const { text } = await echo.echo({ text: "Ada" }, to);
    deepStrictEqual(text, "Ada");
  },
  "300 kB": async (echo, to) => {
    const response = await echo.echo({ payload }, to);
    deepStrictEqual(response.payload, payload);
  },
  "a hundred at once": async (echo, to) => {
    const texts = Array.from({ length: 100 }, (_, index) => `${index}`);
    const responses = await Promise.all(texts.map((text) => echo.echo({ text }, to)));
    deepStrictEqual(
      responses.map(({ text }) => text),
      texts,
    );
  },
  "server streaming": async (echo, to) => {
    const indexes: number[] = [];
    for await (const { index } of echo.repeat({ count: 50 }, to)) indexes.push(index);
    deepStrictEqual(indexes.length, 50);
  },
  "client streaming": async (echo, to) => {
    const { text } = await echo.collect([{ text: "a" }, { text: "b" }], to);
    deepStrictEqual(text, "a b");
  },
  "bidirectional streaming": async (echo, to) => {
    const texts: string[] = [];
    for await (const { text } of echo.chat([{ text: "a" }, { text: "b" }], to)) texts.push(text);
    deepStrictEqual(texts, ["a", "b"]);
  },
  "an error of the handler": async (echo, to) => {
    const error = await errorOf(echo.once({ text: "no", fail: "not_found" }, to));
    deepStrictEqual([error.code, error.message], ["not_found", "told to fail: no"]);
  },
  "a deadline": async (echo, to) => {
    const error = await errorOf(echo.echo({ delayMs: 5_000 }, { ...to, timeoutMs: 100 }));
    deepStrictEqual(error.code, "deadline_exceeded");
  },
  "an aborted call": async (echo, to) => {
    const controller = new AbortController();
    const aborted = errorOf(echo.echo({ delayMs: 5_000 }, { ...to, signal: controller.signal }));
    setTimeout(() => controller.abort(), 100);
    deepStrictEqual((await aborted).code, "canceled");
  },
};

async function errorOf(call: Promise<unknown>): Promise<MicroError> {
  const error = await call.then(
    () => new Error("the call succeeded"),
    (reason: unknown) => reason,
  );
  if (error instanceof MicroError) return error;
  throw error;
}

const [address, protocol = ""] = process.argv.slice(2);
const { scheme, transport } = protocols[protocol] ?? fail(`there is no protocol ${protocol}`);
await using client = createClient({
  registry: memoryRegistry(),
  ...(transport === undefined ? {} : { transports: [transport] }),
});
const echo = createEchoServiceClient(client);
for (const [what, call] of Object.entries(calls)) {
  let problem: string | undefined;
  try {
    await call(echo, { address: `${scheme}${address}`, timeoutMs: 10_000 });
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  const finding: Finding = { what, ...(problem === undefined ? {} : { problem }) };
  process.stdout.write(`${JSON.stringify(finding)}\n`);
}
