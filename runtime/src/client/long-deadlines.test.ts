import {
  createClient,
  goMicroTransport,
  httpTransport,
  memoryRegistry,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
import { expect, test } from "vitest";
import { answering } from "../../../test/contract/transport-fixture.ts";
import { echo } from "../../../test/support/echo.ts";

const ways: [name: string, transport: () => Transport, scheme: string][] = [
  ["native", () => tcpTransport(), ""],
  ["gRPC", () => httpTransport(), "http://"],
  ["gRPC-Web", () => httpTransport({ protocol: "grpc-web" }), "http://"],
  ["Connect", () => httpTransport({ protocol: "connect" }), "http://"],
  ["go-micro", () => goMicroTransport(), "mucp://"],
];

/** `setTimeout` fires immediately for anything over 24.8 days. */
test.each(ways)(
  "a deadline beyond the range of timers does not expire at once: %s",
  async (...way) => {
    const [, transport, scheme] = way;
    const left: number[] = [];
    const dispatcher = answering({
      async unary({ text }, call) {
        left.push(call.remainingMs());
        await new Promise((resolve) => setTimeout(resolve, 20));
        return { text };
      },
      async *stream(requests) {
        for await (const { text } of requests) yield { text };
      },
    });
    await using listener = await tcpTransport().listen("127.0.0.1:0", dispatcher);
    await using client = createClient({ registry: memoryRegistry(), transports: [transport()] });
    const address = scheme + listener.address;
    for (const days of [24.9, 60, 100_000]) {
      const options = { address, timeoutMs: days * 86_400_000 };
      expect(await client.unary(echo.echo, { text: "hi" }, options)).toMatchObject({ text: "hi" });
      const texts: string[] = [];
      for await (const { text } of client.serverStream(echo.repeat, { text: "a" }, options)) {
        texts.push(text);
      }
      expect(texts).toEqual(["a"]);
    }
    expect(Math.min(...left)).toBeGreaterThan(24 * 86_400_000);
  },
);
