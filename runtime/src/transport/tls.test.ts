import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Listener, MicroError, Transport } from "@micro-es/runtime";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { answering, failure, outgoing } from "../../../test/contract/transport-fixture.ts";
import { echo } from "../../../test/support/echo.ts";
import { goMicroTransport } from "./go-micro.ts";
import { httpTransport } from "./http.ts";
import { tcpTransport } from "./tcp.ts";
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
  test("verifies the server, and speaks", async () => {
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

  test("takes a new certificate without a restart", async () => {
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

test("what comes without TLS is refused where TLS is spoken, and TLS where it is not", async () => {
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

test.each(Object.entries(ways))("an insecure client is warned of, aloud: %s", async (_, way) => {
  const { address } = await serve({ identity: identity("server") });
  const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
  expect(await say(...way({ insecure: true }, address))).toBe("hi");
  expect(await warned).toMatchObject({
    code: "MICRO_TLS_INSECURE",
    message: expect.stringContaining("insecure"),
  });
});
