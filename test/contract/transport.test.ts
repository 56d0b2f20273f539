import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  goMicroTransport,
  httpTransport,
  MemoryNetwork,
  memoryTransport,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
import { afterAll, describe, test } from "vitest";
import { type TransportUnderTest, transportContract } from "./transport.ts";
import { dialContract } from "./transport-dial.ts";

const folder = mkdtempSync(join(tmpdir(), "micro-es-transport-"));
afterAll(() => rmSync(folder, { recursive: true }));

const network = new MemoryNetwork();
let sockets = 0;

const transports: Record<string, TransportUnderTest> = {
  memory: {
    create: (limits = {}) => memoryTransport({ network, limits }),
    freeAddress: () => "memory:0",
    nowhere: "memory:nowhere",
  },
  tcp: {
    create: (limits) => tcpTransport(limits),
    freeAddress: () => "127.0.0.1:0",
    nowhere: "127.0.0.1:1",
  },
  "unix socket": {
    create: (limits) => tcpTransport(limits),
    freeAddress: () => `unix:${join(folder, `${sockets++}.sock`)}`,
    nowhere: `unix:${join(folder, "nowhere.sock")}`,
  },
};

/** Cases that HTTP cannot fulfil. */
const notOfHttp = [
  // gRPC does not transmit the kind of a call, and a content type belongs to the protocol and not
  // to the method.
  "refuses a kind of call and a content type that a method does not support",
];

for (const protocol of ["grpc", "grpc-web", "connect"] as const) {
  transports[protocol] = {
    create: (limits) => httpTransport({ protocol, ...limits }),
    freeAddress: () => "127.0.0.1:0",
    nowhere: "127.0.0.1:1",
    foreign: "memory:somewhere",
    // As in gRPC's libraries.
    unreadable: "internal",
    // The windows of HTTP/2 count bytes on the wire, and Node buffers some before and after them.
    ahead: { smallMessage: 10, beside: 2 * 65_536 },
  };
}

/**
 * Differences of go-micro's protocol: a connection does not describe itself and takes one call, and
 * a request does not transmit the kind of the call.
 */
const notOfGoMicro = [
  "refuses a kind of call and a content type that a method does not support",
  "refuses connections beyond its limit",
];

/** Cases that do not apply to a transport with fewer guarantees. */
function notPromised({ guarantees }: Transport): readonly string[] {
  const { flowControl, drain, fullMetadata } = guarantees;
  return [
    fullMetadata
      ? []
      : "carries metadata with requests, and metadata and trailers with responses, text and bytes",
    drain ? [] : "drains: finishes open calls, refuses new ones, and notifies the callers",
    flowControl === "stream"
      ? []
      : [
          "pauses a handler that writes faster than its caller reads, and resumes it",
          "pauses a conversation whose caller does not read, on both sides",
          "pauses a caller that writes faster than its handler reads, also with empty messages",
        ],
  ].flat();
}

transports["go-micro"] = {
  // Each call dials, up to a thousand at once, which takes a while on a busy machine.
  create: (limits) => goMicroTransport({ handshakeTimeoutMs: 60_000, ...limits }),
  freeAddress: () => "127.0.0.1:0",
  nowhere: "127.0.0.1:1",
};

/** A certificate that its own clients trust. */
function selfSigned(): { readonly key: string; readonly cert: string } {
  const [key, cert] = [join(folder, "tls.key"), join(folder, "tls.pem")];
  execFileSync(
    "openssl",
    `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout ${key} -out ${cert}`.split(
      " ",
    ),
    { stdio: "ignore" },
  );
  return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
}

const { key, cert } = selfSigned();
const tls = { server: { identity: { key, cert } }, client: { identity: { ca: cert } } };

/** Setup over TLS has more steps, between which a signal may fire. */
const overTls: Record<string, TransportUnderTest> = {
  tcp: { ...transports.tcp!, create: (limits) => tcpTransport({ tls, ...limits }) },
  "unix socket": {
    ...transports["unix socket"]!,
    create: (limits) => tcpTransport({ tls, ...limits }),
  },
  grpc: {
    ...transports.grpc!,
    create: (limits) => httpTransport({ tls, ...limits }),
    dialled: (address) => `https://${address}`,
  },
  "connect over HTTP/1.1": {
    ...transports.connect!,
    create: (limits) => httpTransport({ protocol: "connect", httpVersion: "1.1", tls, ...limits }),
    dialled: (address) => `https://${address}`,
  },
  "go-micro": {
    ...transports["go-micro"]!,
    create: (limits) => goMicroTransport({ handshakeTimeoutMs: 60_000, tls, ...limits }),
  },
};

describe.each(Object.entries(overTls))("the %s transport over TLS", (_name, under) => {
  for (const { name, run } of dialContract(under)) test(name, run);
});

const otherwise: Record<string, readonly string[]> = { http: notOfHttp, "go-micro": notOfGoMicro };

for (const [name, under] of Object.entries(transports)) {
  describe(`the ${name} transport`, () => {
    const transport = under.create();
    const skipped = [...(otherwise[transport.name] ?? []), ...notPromised(transport)];
    for (const each of transportContract(under)) {
      // A thousand concurrent calls take a while on a machine with other load.
      test.skipIf(skipped.includes(each.name))(each.name, { timeout: 90_000 }, each.run);
    }
  });
}
