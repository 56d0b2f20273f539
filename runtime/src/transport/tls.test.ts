import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import type { MicroError, Transport } from "@micro-es/runtime";
import type { Listener } from "@micro-es/runtime/driver";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { answering, failure, outgoing } from "../../../test/contract/transport-fixture.ts";
import { echo } from "../../../test/support/echo.ts";
import { goMicroTransport } from "../go-micro/transport.ts";
import { httpTransport } from "./http/transport.ts";
import { tcpTransport } from "./tcp/transport.ts";
import { ReloadableIdentity, type ServerTlsOptions, type TlsIdentity } from "./tls.ts";

const folder = mkdtempSync(join(tmpdir(), "micro-es-tls-"));
const open: { close(): unknown }[] = [];
const identities: Record<string, TlsIdentity & { readonly cert: string }> = {};

beforeAll(() => {
  for (const name of ["server", "next", "client"]) {
    const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
    execFileSync(
      "openssl",
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=${name} -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout ${key} -out ${cert}`.split(
        " ",
      ),
      { stdio: "ignore" },
    );
    identities[name] = { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  }
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

const identity = (name: string) => identities[name] as TlsIdentity & { readonly cert: string };

async function serve(server: ServerTlsOptions): Promise<Listener & { errors: MicroError[] }> {
  const errors: MicroError[] = [];
  const dispatcher = answering({ unary: ({ text }) => ({ text }) });
  const listener = await tcpTransport({ tls: { server } }).listen("127.0.0.1:0", dispatcher, {
    onConnectionError: (error) => errors.push(error),
  });
  open.push(listener);
  return Object.assign(listener, { errors });
}

async function say(transport: Transport, address: string): Promise<string> {
  const channel = await transport.dial(address);
  try {
    return (await channel.unary(echo.echo, { text: "hi" }, outgoing())).text;
  } finally {
    await channel.close();
  }
}

const ways: Record<string, (client: object, address: string) => [Transport, string]> = {
  native: (client, address) => [tcpTransport({ tls: { client } }), address],
  gRPC: (client, address) => [httpTransport({ tls: { client } }), `https://${address}`],
  "gRPC-Web": (client, address) => [
    httpTransport({ protocol: "grpc-web", tls: { client } }),
    `https://${address}`,
  ],
  "Connect over HTTP/1.1": (client, address) => [
    httpTransport({ protocol: "connect", httpVersion: "1.1", tls: { client } }),
    `https://${address}`,
  ],
  "go-micro": (client, address) => [goMicroTransport({ tls: { client } }), address],
};

describe.each(Object.entries(ways))("TLS: %s", (_, way) => {
  test("verifies the server, and carries calls", async () => {
    const { address } = await serve({ identity: identity("server") });
    const trusting = { identity: { ca: identity("server").cert } };
    expect(await say(...way(trusting, address))).toBe("hi");
    await failure(say(...way({}, address)), "unavailable", "not-executed");
    const other = { identity: { ca: identity("next").cert } };
    await failure(say(...way(other, address)), "unavailable", "not-executed");
  });

  test("asks clients for a certificate, and refuses those without a known one", async () => {
    const { address } = await serve({
      identity: { ...identity("server"), ca: identity("client").cert },
      requireClientCertificate: true,
    });
    const ca = identity("server").cert;
    expect(await say(...way({ identity: { ...identity("client"), ca } }, address))).toBe("hi");
    await failure(say(...way({ identity: { ca } }, address)), "unavailable");
    await failure(say(...way({ identity: { ...identity("next"), ca } }, address)), "unavailable");
  });

  test("uses a new certificate without a restart", async () => {
    const reloadable = new ReloadableIdentity(identity("server"));
    const { address } = await serve({ identity: reloadable });
    const before = { identity: { ca: identity("server").cert } };
    const after = { identity: { ca: identity("next").cert } };
    expect(await say(...way(before, address))).toBe("hi");
    reloadable.replace(identity("next"));
    expect(await say(...way(after, address))).toBe("hi");
    await failure(say(...way(before, address)), "unavailable", "not-executed");
  });
});

test("refuses plain connections if TLS is configured, and TLS if it is not", async () => {
  const secure = await serve({ identity: identity("server") });
  await failure(say(tcpTransport(), secure.address), "unavailable", "not-executed");
  expect(secure.errors.map(({ code }) => code)).toContain("unimplemented");
  const plain = await tcpTransport().listen("127.0.0.1:0", answering({}));
  open.push(plain);
  const client = { identity: { ca: identity("server").cert } };
  await failure(
    say(tcpTransport({ tls: { client } }), plain.address),
    "unavailable",
    "not-executed",
  );
});

test.each(Object.entries(ways))("an insecure client triggers a warning: %s", async (_, way) => {
  const { address } = await serve({ identity: identity("server") });
  const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
  expect(await say(...way({ insecure: true }, address))).toBe("hi");
  expect(await warned).toMatchObject({
    code: "MICRO_TLS_INSECURE",
    message: expect.stringContaining("insecure"),
  });
});

test.each(["127.0.0.1:0", `unix:${folder}/tls.sock`])(
  "the end of one TLS connection leaves the others open: %s",
  async (place) => {
    const transport = tcpTransport({
      tls: { server: { identity: identity("server") }, client: { insecure: true } },
    });
    const dispatcher = answering({ unary: ({ text }) => ({ text }) });
    const listener = await transport.listen(place, dispatcher);
    open.push(listener);
    const channels = await Promise.all([0, 1, 2].map(() => transport.dial(listener.address)));
    const [first, ...others] = channels;
    await first?.close();
    await expect.poll(() => listener.connections).toBe(2);
    for (const channel of others) {
      open.push(channel);
      expect(await channel.unary(echo.echo, { text: "hi" }, outgoing())).toMatchObject({
        text: "hi",
      });
    }
  },
);

test("a key and certificate that do not match replace nothing", () => {
  const reloadable = new ReloadableIdentity(identity("server"));
  const bad = { key: identity("server").key, cert: identity("next").cert } as TlsIdentity;
  expect(() => reloadable.replace(bad)).toThrow();
  expect(reloadable.current).toBe(identity("server"));
});

test("a client accepts only the server whose identity it pins", async () => {
  const { address } = await serve({ identity: identity("server") });
  const client = (serverIdentity: string | string[]) =>
    tcpTransport({
      tls: { client: { identity: { ca: identity("server").cert }, serverIdentity } },
    });
  expect(await say(client("localhost"), address)).toBe("hi");
  expect(await say(client(["spiffe://a/b", "localhost"]), address)).toBe("hi");
  for (const wrong of ["orders.example", "spiffe://trust.example/orders"]) {
    await expect(say(client(wrong), address)).rejects.toThrow("serverIdentity");
  }
});

test("a session is not resumed where client certificates are required", async () => {
  const { address } = await serve({
    identity: { ...identity("server"), ca: identity("client").cert } as TlsIdentity,
    requireClientCertificate: true,
  });
  const port = Number(address.split(":")[1]);
  const dial = (session?: Buffer) =>
    new Promise<{ reused: boolean; session: Buffer | undefined }>((resolve, reject) => {
      let seen: Buffer | undefined;
      const socket = connectTls({
        ...{ host: "127.0.0.1", port, rejectUnauthorized: false, ...identity("client") },
        ...(session !== undefined && { session }),
      });
      socket.on("session", (ticket) => {
        seen = ticket;
      });
      socket.on("error", reject);
      socket.once("secureConnect", () => {
        socket.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        socket.once("data", () => {
          resolve({ reused: socket.isSessionReused(), session: seen });
          socket.destroy();
        });
      });
    });
  const first = await dial();
  expect((await dial(first.session)).reused).toBe(false);
});
