import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from "node:tls";
import {
  createClient,
  goMicroTransport,
  httpTransport,
  MemoryRegistryNetwork,
  MicroError,
  memoryRegistry,
  type Node,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
import type { Channel, Listener, OutgoingCall } from "@micro-es/runtime/driver";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { answering, failure, outgoing } from "../../../test/contract/transport-fixture.ts";
import { type IssuedIdentity, TestAuthority } from "../../../test/support/certificates.ts";
import { echo } from "../../../test/support/echo.ts";
import { inCi } from "../../../test/support/long.ts";
import type { ClientTlsOptions } from "./tls.ts";

let authority: TestAuthority;
let localhost: IssuedIdentity;
const open: { close(): unknown }[] = [];
const authorities: TestAuthority[] = [];

beforeAll(() => {
  authority = new TestAuthority();
  authorities.push(authority);
  localhost = authority.issue({ names: ["DNS:localhost", "IP:127.0.0.1"] });
});
afterAll(() => {
  for (const it of authorities) it[Symbol.dispose]();
});
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

/** Listens on a free port, and responds with its name. */
async function serve(
  identity: IssuedIdentity,
  requireClientCertificate = false,
  says = "hi",
): Promise<Listener & { errors: MicroError[] }> {
  const errors: MicroError[] = [];
  const transport = tcpTransport({
    tls: { server: { identity: { ...identity, ca: authority.ca }, requireClientCertificate } },
  });
  const dispatcher = answering({
    // An empty request never completes.
    unary: ({ text }) => (text === "" ? new Promise(() => undefined) : { text: says }),
  });
  const listener = await transport.listen("127.0.0.1:0", dispatcher, {
    onConnectionError: (error) => errors.push(error),
  });
  open.push(listener);
  return Object.assign(listener, { errors });
}

const ways: Record<string, (client: ClientTlsOptions, address: string) => [Transport, string]> = {
  native: (client, address) => [tcpTransport({ tls: { client } }), address],
  "gRPC over HTTP/2": (client, address) => [
    httpTransport({ tls: { client } }),
    `https://${address}`,
  ],
  "Connect over HTTP/1.1": (client, address) => [
    httpTransport({ protocol: "connect", httpVersion: "1.1", tls: { client } }),
    `https://${address}`,
  ],
  "go-micro": (client, address) => [goMicroTransport({ tls: { client } }), address],
};

async function dial([transport, address]: [Transport, string], service?: string): Promise<Channel> {
  const channel = await transport.dial(address, service === undefined ? {} : { service });
  open.push(channel);
  return channel;
}

const say = async (channel: Channel, call: OutgoingCall = outgoing()) =>
  (await channel.unary(echo.echo, { text: "say" }, call)).text;
const trusting = (): ClientTlsOptions => ({ identity: { ca: authority.ca } });

/**
 * Resolves once new connections are refused: OpenSSL accepts a certificate up to the end of the
 * second in which it expires.
 */
async function refused(connect: () => Promise<Channel>): Promise<void> {
  const outcome = () =>
    connect()
      .then(say)
      .catch((error: MicroError) => error.code);
  await expect.poll(outcome, { timeout: 5_000 }).toBe("unavailable");
}

/** HTTP's protocols notice it alike. */
const expiring = Object.entries(ways).filter(([name]) => inCi || /native|gRPC over/.test(name));

describe.each(expiring)("a certificate that expires: %s", (_, way) => {
  test("of a client ends its open connection", async () => {
    const server = await serve(localhost, true);
    const short = authority.issue({ names: ["DNS:caller"], seconds: 4 });
    const client = { identity: { ...short, ca: authority.ca } };
    const channel = await dial(way(client, server.address));
    expect(await say(channel)).toBe("hi");
    await failure(channel.unary(echo.echo, {}, outgoing()), "unavailable", "unknown");
    expect(server.errors.at(-1)).toMatchObject({
      code: "unauthenticated",
      message: expect.stringContaining("client's certificate"),
    });
    await refused(() => dial(way(client, server.address)));
  });

  test("of a server ends the connections of its clients", async () => {
    const short = authority.issue({ names: ["IP:127.0.0.1"], seconds: 4 });
    const server = await serve(short);
    const channel = await dial(way(trusting(), server.address));
    expect(await say(channel)).toBe("hi");
    await failure(channel.unary(echo.echo, {}, outgoing()), "unavailable", "unknown");
    await refused(() => dial(way(trusting(), server.address)));
  });
});

/**
 * Whether this version of Node shows a server the issuers of a client's certificate: 24.21 does not
 * (nodejs/node#65579).
 */
async function showsIssuers(caller: IssuedIdentity): Promise<boolean> {
  const server = createTlsServer({ ...localhost, ca: authority.ca, requestCert: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const socket = connectTls({ port, host: "127.0.0.1", ...caller, ca: authority.ca });
  const [accepted] = (await once(server, "secureConnection")) as [TLSSocket];
  const { issuerCertificate } = accepted.getPeerCertificate(true);
  socket.destroy();
  server.close();
  return issuerCertificate !== undefined;
}

test("a certificate whose issuer expires first ends the connection too", async ({ skip }) => {
  const between = new TestAuthority(4, authority);
  authorities.push(between);
  if (!(await showsIssuers(between.issue({ names: ["DNS:caller"] })))) {
    skip("this version of Node shows no issuers");
  }
  const server = await serve(localhost, true);
  const caller = between.issue({ names: ["DNS:caller"] });
  const client = { identity: { ...caller, ca: authority.ca } };
  const channel = await dial(ways.native!(client, server.address));
  expect(await say(channel)).toBe("hi");
  await failure(channel.unary(echo.echo, {}, outgoing()), "unavailable", "unknown");
  expect(server.errors.at(-1)?.message).toContain("or one of its issuers, expired");
});

test("the session of an expired certificate cannot be resumed", async () => {
  const server = await serve(localhost, true);
  const short = authority.issue({ names: ["DNS:caller"], seconds: 3 });
  const [host, port] = server.address.split(":");
  const sessions: Buffer[] = [];
  const connection = (session?: Buffer) =>
    connectTls({
      ...{ host, port: Number(port), rejectUnauthorized: false, maxVersion: "TLSv1.2" },
      ...(session === undefined ? short : { session }),
    });
  const first = connection();
  first.on("session", (session) => sessions.push(session));
  await new Promise<void>((resolve) => {
    first.once("close", () => resolve());
    first.resume();
  });
  for (const session of sessions) {
    const again = connection(session);
    const served = await new Promise<boolean>((resolve) => {
      again.once("data", () => resolve(true));
      again.once("error", () => resolve(false));
      again.once("close", () => resolve(false));
      again.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    });
    expect(served).toBe(false);
  }
});

describe.each(Object.entries(ways))("an identity that a service is pinned to: %s", (_, way) => {
  const id = "spiffe://trust.example/echo";

  test("is required of its servers, whatever the address", async () => {
    const real = await serve(authority.issue({ names: [`URI:${id}`] }));
    const other = await serve(localhost);
    const client = { ...trusting(), serverIdentities: { echo: id } };
    expect(await say(await dial(way(client, real.address), "echo"))).toBe("hi");
    const error = await failure(
      dial(way(client, other.address), "echo").then(say),
      "unavailable",
      "not-executed",
    );
    expect(error.message).toContain("tls.client.serverIdentities.echo");
  });

  test("does not affect other services", async () => {
    const other = await serve(localhost);
    const client = { ...trusting(), serverIdentities: { echo: id } };
    for (const service of ["billing", "toString", undefined]) {
      expect(await say(await dial(way(client, other.address), service))).toBe("hi");
    }
  });
});

const nodeOf = (service: string, id: string, address: string): Node => ({
  ...{ id, service, address, version: "1", endpoints: [] },
  metadata: { protocol: "native" },
});

test("a poisoned record of the registry leads to no call", async () => {
  const id = "spiffe://trust.example/echo";
  const real = await serve(authority.issue({ names: [`URI:${id}`] }), false, "real");
  // With its own certificate from the same authority, for the host that its record names.
  const evil = await serve(localhost, false, "evil");
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const poisoned = await registry.register(nodeOf("echo", "evil", evil.address));
  const clientWith = (client: ClientTlsOptions) => {
    const made = createClient({ registry, transports: [tcpTransport({ tls: { client } })] });
    open.push(made);
    return made;
  };
  const call = (client: ReturnType<typeof clientWith>) =>
    client.unary(echo.echo, { text: "say" }, { timeoutMs: 3_000 });
  expect(await call(clientWith(trusting()))).toMatchObject({ text: "evil" });
  const pinned = clientWith({ ...trusting(), serverIdentities: { echo: id } });
  await expect(call(pinned)).rejects.toThrow(/serverIdentities\.echo/);
  await registry.register(nodeOf("echo", "real", real.address));
  await poisoned.close();
  await expect.poll(() => call(pinned).catch(() => undefined)).toMatchObject({ text: "real" });
});

test("services at one address do not share connections that are verified for one of them", async () => {
  const server = await serve(authority.issue({ names: ["IP:127.0.0.1", "DNS:echo.internal"] }));
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  for (const service of ["echo", "other"]) {
    await registry.register(nodeOf(service, service, server.address));
  }
  const tls = {
    client: { ...trusting(), serverIdentities: { echo: "ECHO.internal", other: "other.internal" } },
  };
  const client = createClient({ registry, transports: [tcpTransport({ tls })] });
  open.push(client);
  const call = (options: object) => client.unary(echo.echo, { text: "say" }, options);
  expect(await call({})).toMatchObject({ text: "hi" });
  for (const options of [{ service: "other" }, { service: "other", address: server.address }]) {
    await expect(call({ ...options, timeoutMs: 2_000 })).rejects.toThrow(MicroError);
  }
  expect(await call({ address: server.address })).toMatchObject({ text: "hi" });
});

test("pins are checked as other options are", () => {
  for (const serverIdentities of [[], { echo: 1 }, { echo: [] }, { echo: "" }]) {
    const client = { serverIdentities } as unknown as ClientTlsOptions;
    expect(() => tcpTransport({ tls: { client } })).toThrow(
      /tls\.client\.serverIdentities must be/,
    );
  }
});
