import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { StreamingOutputCallRequestSchema } from "../../gen/grpc/testing/messages_pb.ts";
import { TestService } from "../../gen/grpc/testing/test_pb.ts";
import {
  expect,
  expectEqual,
  initialKey,
  initialValue,
  outputSizes,
  specialMessage,
} from "../cases.ts";

/**
 * Calls made by a page of another origin, with the clients that browsers have. Shows the results as
 * a table.
 */

const baseUrl = new URLSearchParams(location.search).get("server") ?? "";
const ways: Readonly<Record<string, Transport>> = {
  "gRPC-Web": createGrpcWebTransport({ baseUrl }),
  "Connect, binary": createConnectTransport({ baseUrl, useBinaryFormat: true }),
  "Connect, JSON": createConnectTransport({ baseUrl }),
};

type Case = (transport: Transport) => Promise<void>;
const cases: Readonly<Record<string, Case>> = {
  async large_unary(transport) {
    const request = { responseSize: 314_159, payload: { body: new Uint8Array(271_828) } };
    const { payload } = await createClient(TestService, transport).unaryCall(request);
    expectEqual(payload?.body.length, 314_159, "length of the response");
  },
  async server_streaming(transport) {
    const request = create(StreamingOutputCallRequestSchema, {
      responseParameters: outputSizes.map((size) => ({ size })),
    });
    const sizes: unknown[] = [];
    const client = createClient(TestService, transport);
    for await (const answer of client.streamingOutputCall(request)) {
      sizes.push(answer.payload?.body.length);
    }
    expectEqual(sizes.join(), outputSizes.join(), "lengths of the responses");
  },
  async custom_metadata(transport) {
    let header = new Headers();
    await createClient(TestService, transport).emptyCall(
      {},
      {
        headers: { [initialKey]: initialValue },
        onHeader: (it) => {
          header = it;
        },
      },
    );
    expectEqual(header.get(initialKey), initialValue, "initial metadata");
  },
  async special_status_message(transport) {
    const responseStatus = { code: 2, message: specialMessage };
    const error = await failure(createClient(TestService, transport).unaryCall({ responseStatus }));
    expectEqual(error.rawMessage, specialMessage, "message");
    expectEqual(error.code, Code.Unknown, "code");
  },
  async cancel_after_first_response(transport) {
    const controller = new AbortController();
    const responseParameters = [{ size: 1 }, { size: 1, intervalUs: 60_000_000 }];
    const answers = createClient(TestService, transport).streamingOutputCall(
      { responseParameters },
      { signal: controller.signal },
    );
    const read = async () => {
      for await (const _ of answers) controller.abort();
    };
    expectEqual((await failure(read())).code, Code.Canceled, "code");
  },
};

async function failure(call: Promise<unknown>): Promise<ConnectError> {
  const reason = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(reason !== undefined, "the call did not fail");
  return ConnectError.from(reason);
}

/** Without any library: what a user types into the console of a browser. */
async function plainFetch(): Promise<void> {
  const response = await fetch(`${baseUrl}/grpc.testing.TestService/UnaryCall`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ responseSize: 3 }),
  });
  const { payload } = (await response.json()) as { payload: { body: string } };
  expectEqual(payload.body, "AAAA", "body of the response");
}

function show(way: string, name: string, found: string): void {
  const row = document.querySelector("tbody")?.insertRow();
  for (const text of [way, name, found]) {
    const cell = row?.insertCell();
    if (cell !== undefined) cell.textContent = text;
  }
}

async function attempt(way: string, name: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
    show(way, name, "ok");
  } catch (error) {
    show(way, name, error instanceof Error ? error.message : String(error));
  }
}

for (const [way, transport] of Object.entries(ways)) {
  for (const [name, run] of Object.entries(cases)) await attempt(way, name, () => run(transport));
}
await attempt("fetch", "unary", plainFetch);
document.title = "done";
