import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { answering, outgoing } from "../../../test/contract/transport-fixture.ts";
import { TestAuthority } from "../../../test/support/certificates.ts";
import { echo } from "../../../test/support/echo.ts";
import type { Client } from "../client/client.ts";
import { goMicroTransport } from "../go-micro/transport.ts";
import { createClient } from "../service/create-client.ts";
import { httpTransport } from "./http/transport.ts";
import { tcpTransport } from "./tcp/transport.ts";
import { type ClientTlsOptions, ReloadableIdentity } from "./tls.ts";
import type { Listener, Transport } from "./transport.ts";

const open: { close(): unknown }[] = [];
let authority: TestAuthority;
beforeAll(() => {
  authority = new TestAuthority();
});
afterAll(() => authority[Symbol.dispose]());
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

const ways: Record<string, (client: ClientTlsOptions, address: string) => [Transport, string]> = {
  native: (client, address) => [tcpTransport({ tls: { client } }), address],
  gRPC: (client, address) => [httpTransport({ tls: { client } }), `https://${address}`],
  "Connect over HTTP/1.1": (client, address) => [
    httpTransport({ protocol: "connect", httpVersion: "1.1", tls: { client } }),
    `https://${address}`,
  ],
  "go-micro": (client, address) => [goMicroTransport({ tls: { client } }), address],
};

/** A server and a client of it, with certificates that can be replaced. */
async function meet(way: (typeof ways)[string]) {
  const { ca } = authority;
  const issue = () => ({ ...authority.issue({ names: ["IP:127.0.0.1"] }), ca });
  const identities = {
    server: new ReloadableIdentity(issue()),
    client: new ReloadableIdentity(issue()),
  };
  const dispatcher = answering({
    unary: (_request, { peer }) => ({ text: `${peer.address} ${peer.certificate?.fingerprint}` }),
    async *stream(requests) {
      for await (const { text } of requests) yield { text };
    },
  });
  const tls = { server: { identity: identities.server, clientCertificate: "required" } } as const;
  const listener: Listener = await tcpTransport({ tls }).listen("127.0.0.1:0", dispatcher);
  open.push(listener);
  const [transport, address] = way({ identity: identities.client }, listener.address);
  const client: Client = createClient({ transports: [transport] });
  open.push(client);
  /** Where the server sees the client, and its certificate. */
  const call = async () => {
    const { text = "" } = await client.unary(echo.once, {}, { address });
    return text.split(" ");
  };
  return { ...identities, issue, listener, call, channel: () => transport.dial(address) };
}

test.each(Object.entries(ways))(
  "calls use connections with a client's new certificate, and none fails: %s",
  async (_, way) => {
    const { client, issue, call, listener } = await meet(way);
    const [before, fingerprint] = await call();
    const pending = Array.from({ length: 20 }, call);
    client.replace(issue());
    await Promise.all(pending);
    const [after, other] = await call();
    expect(after).not.toBe(before);
    expect(other).not.toBe(fingerprint);
    await expect.poll(() => listener.connections).toBe(1);
  },
);

/** Clients of go-micro take a connection that closes for a failed call, so theirs stay. */
const told = Object.entries(ways).filter(([name]) => name !== "go-micro");

test.each(told)(
  "connections move to a server's new certificate, and no call fails: %s",
  async (name, way) => {
    const { server, issue, call, listener } = await meet(way);
    const [before] = await call();
    // An idle connection of HTTP/1.1 learns of it with its next call.
    const pending = Array.from({ length: name.endsWith("1.1") ? 1 : 20 }, call);
    server.replace(issue());
    await Promise.all(pending);
    await expect.poll(async () => (await call())[0]).not.toBe(before);
    await expect.poll(() => listener.connections).toBe(1);
  },
);

test.each(["native", "gRPC"])("an open stream continues: %s", async (name) => {
  const { server, client, issue, listener, channel } = await meet(ways[name]!);
  const opened = await channel();
  open.push(opened);
  const texts = new TransformStream<{ text: string }, { text: string }>();
  const writer = texts.writable.getWriter();
  const stream = opened
    .stream(echo.chat, texts.readable as unknown as AsyncIterable<{ text: string }>, outgoing())
    [Symbol.asyncIterator]();
  const say = async (text: string) => {
    const next = stream.next();
    await writer.write({ text });
    return next;
  };
  expect(await say("a")).toMatchObject({ value: { text: "a" } });
  client.replace(issue());
  server.replace(issue());
  expect(opened.state).toBe("draining");
  expect(await say("b")).toMatchObject({ value: { text: "b" } });
  await writer.close();
  expect(await stream.next()).toMatchObject({ done: true });
  expect(await opened.closed).toMatchObject({ code: "unavailable" });
  await expect.poll(() => listener.connections).toBe(0);
});
