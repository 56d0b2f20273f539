import {
  type CallOptions,
  type ClientOptions,
  type ClientTlsOptions,
  createClient,
  goMicroTransport,
  httpTransport,
  MemoryNetwork,
  MemoryRegistryNetwork,
  memoryRegistry,
  memoryTransport,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
import { staticToken } from "@micro-es/runtime/auth";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { answering } from "../../../../test/contract/transport-fixture.ts";
import { type IssuedIdentity, TestAuthority } from "../../../../test/support/certificates.ts";
import { echo } from "../../../../test/support/echo.ts";
import { networkAddress } from "../../../../test/support/network-address.ts";
import { errorOf } from "../../../../test/support/server.ts";

const spiffeId = "spiffe://acme.example/echo";
const token = "canary-token";
// Stands for a server on another machine.
const host = networkAddress();
let authority: TestAuthority;
let certificate: IssuedIdentity;
const open: { close(): unknown }[] = [];

beforeAll(() => {
  authority = new TestAuthority();
  certificate = authority.issue({ names: [`URI:${spiffeId}`, `IP:${host ?? "127.0.0.1"}`] });
});
afterAll(() => authority[Symbol.dispose]());
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

/** The first connection by a protocol loads its code, which takes long on a busy machine. */
const patient = { handshakeTimeoutMs: 20_000 };

/** A server that records the credentials that reach it. */
async function serve(tls: boolean, at = host, transport?: Transport) {
  const arrived: unknown[] = [];
  const listens =
    transport ??
    tcpTransport({ ...patient, ...(tls && { tls: { server: { identity: certificate } } }) });
  const dispatcher = answering({
    unary: (_request, call) => {
      arrived.push(call.requestMetadata.get("authorization"));
      return { text: "ok" };
    },
    async *stream(_requests, call) {
      arrived.push(call.requestMetadata.get("authorization"));
      yield { text: "ok" };
    },
  });
  const address = transport === undefined ? `${at}:0` : "memory:echo";
  const listener = await listens.listen(address, dispatcher);
  open.push(listener);
  return { address: listener.address, arrived };
}

/** A client that finds the server in a registry, unless its address is a URL. */
async function clientOf(address: string, transport: Transport, options: ClientOptions = {}) {
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const isUrl = address.includes("://");
  if (!isUrl) {
    await registry.register({
      ...{ id: "echo-1", service: "echo", address, version: "1", endpoints: [] },
      metadata: { protocol: transport.protocol },
    });
  }
  const client = createClient({
    registry,
    transports: [transport],
    credentials: staticToken(token),
    environment: { MICRO_LOG_LEVEL: "silent" },
    dialTimeoutMs: 20_000,
    ...options,
  });
  open.push(client);
  return (call: CallOptions = {}) =>
    client.unary(echo.echo, {}, { timeoutMs: 20_000, ...(isUrl && { address }), ...call });
}

interface Way {
  transport(client?: ClientTlsOptions): Transport;
  address(hostAndPort: string, tls: boolean): string;
}

const url = (address: string, tls: boolean) => `${tls ? "https" : "http"}://${address}`;
const ways: Record<string, Way> = {
  native: {
    transport: (client) => tcpTransport({ ...patient, ...(client && { tls: { client } }) }),
    address: (address) => address,
  },
  "gRPC over HTTP/2": {
    transport: (client) => httpTransport({ ...patient, ...(client && { tls: { client } }) }),
    address: url,
  },
  "Connect over HTTP/1.1": {
    transport: (client) =>
      httpTransport({
        ...patient,
        protocol: "connect",
        httpVersion: "1.1",
        ...(client && { tls: { client } }),
      }),
    address: url,
  },
  "go-micro": {
    transport: (client) => goMicroTransport(client && { tls: { client } }),
    address: (address) => address,
  },
};

describe.skipIf(host === undefined).each(Object.entries(ways))("by %s", (_, way) => {
  const trusting = (more: Partial<ClientTlsOptions> = {}) =>
    way.transport({ identity: { ca: authority.ca }, ...more });

  test("a credential reaches a server whose service is verified", async () => {
    const { address, arrived } = await serve(true);
    for (const pin of [
      { identityOf: (service: string) => `spiffe://acme.example/${service}` },
      { serverIdentities: { echo: spiffeId } },
      { serverIdentity: spiffeId },
    ]) {
      const call = await clientOf(way.address(address, true), trusting(pin));
      await call();
    }
    expect(arrived).toEqual(Array(3).fill(`Bearer ${token}`));
  });

  test("none reaches a host with a valid certificate of its own, to which the registry points", async ({
    skip,
  }) => {
    const { address, arrived } = await serve(true);
    const to = way.address(address, true);
    if (to.includes("://")) skip("no registry holds URLs");
    const options = { credentialPolicy: { allowHosts: [host ?? ""] } };
    const error = await errorOf((await clientOf(to, trusting(), options))());
    expect(error).toMatchObject({ code: "failed_precondition", outcome: "not-executed" });
    expect(error.message).toMatch(/not for the service; set tls\.client\.identityOf/);
    expect(error.message).not.toContain(token);
    const other = { identityOf: () => "spiffe://acme.example/other" };
    expect(await errorOf((await clientOf(to, trusting(other)))())).toMatchObject({
      code: "unavailable",
    });
    expect(arrived).toEqual([]);
  });

  test("a call that names the address sends one to the hosts that are allowed", async () => {
    const { address, arrived } = await serve(true);
    const to = way.address(address, true);
    const refused = await errorOf((await clientOf(to, trusting()))({ address: to }));
    expect(refused.message).toMatch(new RegExp(`list "${host}" in credentialPolicy.allowHosts`));
    const options = { credentialPolicy: { allowHosts: [host ?? ""] } };
    await (await clientOf(to, trusting(), options))({ address: to });
    expect(arrived).toEqual([`Bearer ${token}`]);
  });

  test("none is sent in plaintext, or to a server that is not verified, except where allowed", async () => {
    const plain = await serve(false);
    const to = way.address(plain.address, false);
    const error = await errorOf((await clientOf(to, way.transport()))());
    expect(error).toMatchObject({ code: "failed_precondition", outcome: "not-executed" });
    expect(error.message).toContain("credentialPolicy.allowPlaintext");
    const secure = await serve(true);
    const insecure = await clientOf(
      way.address(secure.address, true),
      way.transport({ insecure: true, serverIdentity: spiffeId }),
    );
    expect(await errorOf(insecure())).toMatchObject({ code: "failed_precondition" });
    expect(plain.arrived).toEqual([]);
    expect(secure.arrived).toEqual([]);
    for (const allowPlaintext of [[to], [host ?? ""], [`${host}/32`]]) {
      await (await clientOf(to, way.transport(), { credentialPolicy: { allowPlaintext } }))();
    }
    expect(plain.arrived).toEqual(Array(3).fill(`Bearer ${token}`));
  });
});

test("a credential is sent on this machine", async () => {
  const { address, arrived } = await serve(false, "127.0.0.1");
  for (const way of Object.values(ways)) {
    await (await clientOf(way.address(address, false), way.transport()))();
  }
  const transport = memoryTransport({ network: new MemoryNetwork() });
  const memory = await serve(false, host, transport);
  await (await clientOf(memory.address, transport))();
  expect([...arrived, ...memory.arrived]).toEqual(Array(5).fill(`Bearer ${token}`));
});

test("a call may have credentials of its own, or none, or send its own metadata", async () => {
  const { address, arrived } = await serve(false, "127.0.0.1");
  const call = await clientOf(address, tcpTransport());
  await call({ credentials: staticToken("of-the-call") });
  await call({ credentials: false });
  await call({ metadata: { authorization: "Basic b3du" } });
  await call({ metadata: { tenant: "a" } });
  expect(arrived).toEqual(["Bearer of-the-call", undefined, "Basic b3du", `Bearer ${token}`]);
});

test("streams present credentials too", async () => {
  const { address, arrived } = await serve(false, "127.0.0.1");
  const client = createClient({ credentials: staticToken(token) });
  open.push(client);
  for await (const _ of client.serverStream(echo.repeat, {}, { address }));
  expect(arrived).toEqual([`Bearer ${token}`]);
});

test("a token goes only to the services that it is for", async () => {
  const { address, arrived } = await serve(false, "127.0.0.1");
  const jwt = (aud: unknown) =>
    `e30.${Buffer.from(JSON.stringify({ aud })).toString("base64url")}.x`;
  const call = await clientOf(address, tcpTransport());
  const foreign = staticToken(jwt(["stock", "billing"]));
  const error = await errorOf(call({ credentials: foreign }));
  expect(error).toMatchObject({ code: "failed_precondition", outcome: "not-executed" });
  expect(error.message).toMatch(
    /it is for stock, billing; request a token with the audience "echo"/,
  );
  expect(arrived).toEqual([]);
  await call({ credentials: staticToken(jwt("echo")) });
  await call({ credentials: staticToken(jwt("stock"), { services: ["echo"] }) });
  await call({ credentials: staticToken(jwt("stock"), { services: "any" }) });
  expect(arrived).toHaveLength(3);
});

test.each<[string, unknown]>([
  ["null", null],
  ["an empty object", {}],
  ["a token alone", { token }],
  ["a token that is not a text", { scheme: "bearer", token: 1, services: undefined }],
  ["services that are a list", { scheme: "bearer", token, services: ["echo"] }],
  ["a promise of a text", Promise.resolve(token)],
])("a source of an application that returns %s fails the call", async (_, returned) => {
  const { address, arrived } = await serve(false, "127.0.0.1");
  const call = await clientOf(address, tcpTransport());
  const error = await errorOf(call({ credentials: { credential: () => returned as never } }));
  expect(error).toMatchObject({ code: "internal", outcome: "not-executed" });
  expect(error.message).toContain("the credential source must return");
  expect(error.message).not.toContain(token);
  expect(arrived).toEqual([]);
});

test.each(["", [], 1])("an identity of a service that is %j is refused", async (identity) => {
  const { address } = await serve(true, "127.0.0.1");
  const transport = tcpTransport({ tls: { client: { identityOf: () => identity as string } } });
  const error = await errorOf((await clientOf(address, transport))());
  expect(error.message).toMatch(/tls\.client\.identityOf\("echo"\) returned neither/);
});

test("options that cannot work are refused", () => {
  expect(() => staticToken("two words")).toThrow(/not a token/);
  expect(() => createClient({ credentialPolicy: { allowPlaintext: ["10.0.0.0/33"] } })).toThrow(
    /not a range/,
  );
  expect(() => createClient({ credentials: {} as never })).toThrow(/credentials must be/);
});
