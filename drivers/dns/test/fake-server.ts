import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { type Answer, decode, encode, type Packet } from "dns-packet";

/** A query as a {@link FakeServer} received it. */
export interface Query {
  readonly packet: Packet;
  readonly name: string;
  readonly type: string;
  readonly overTcp: boolean;
  /** The size that EDNS says; undefined without EDNS. */
  readonly ednsBytes: number | undefined;
}

/** What a {@link FakeServer} responds with: packets in order, or nothing. */
export type Script = (query: Query) => readonly (Packet | Buffer)[];

/** A DNS server whose responses come from a test. */
export interface FakeServer extends AsyncDisposable {
  readonly address: string;
  readonly queries: Query[];
  script: Script;
  close(): Promise<void>;
}

/** Starts a server on a free port for UDP and TCP. */
export async function startFakeServer(script: Script, host = "127.0.0.1"): Promise<FakeServer> {
  const queries: Query[] = [];
  const connections = new Set<Socket>();
  const respond = (bytes: Buffer, overTcp: boolean): readonly Buffer[] => {
    const packet = decode(bytes);
    const [question] = packet.questions ?? [];
    const opt = packet.additionals?.find(({ type }) => type === "OPT");
    const query: Query = {
      packet,
      name: question?.name ?? "",
      type: question?.type ?? "",
      overTcp,
      ednsBytes: opt?.type === "OPT" ? opt.udpPayloadSize : undefined,
    };
    queries.push(query);
    return server.script(query).map((each) => (Buffer.isBuffer(each) ? each : encode(each)));
  };
  const tcp = createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      for (const response of respond(bytes.subarray(2), true)) {
        const size = Buffer.alloc(2);
        size.writeUInt16BE(response.length);
        // In two pieces, as it may arrive.
        socket.write(size.subarray(0, 1));
        setImmediate(() => socket.write(Buffer.concat([size.subarray(1), response])));
      }
    });
  });
  tcp.listen(0, host);
  await once(tcp, "listening");
  const { port } = tcp.address() as { port: number };
  const udp = createSocket(host.includes(":") ? "udp6" : "udp4");
  udp.on("message", (bytes, from) => {
    for (const response of respond(bytes, false)) udp.send(response, from.port, from.address);
  });
  udp.bind(port, host);
  await once(udp, "listening");
  const close = async () => {
    for (const socket of connections) socket.destroy();
    udp.close();
    tcp.close();
    await once(tcp, "close");
  };
  const server: FakeServer = {
    address: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
    queries,
    script,
    close,
    [Symbol.asyncDispose]: close,
  };
  return server;
}

/** A response to a query. */
export function responseTo({ packet }: Query, parts: Packet = {}): Packet {
  return {
    type: "response",
    id: packet.id ?? 0,
    flags: 0,
    questions: packet.questions ?? [],
    ...parts,
  };
}

/** A negative response: a code such as 2 for SERVFAIL or 3 for NXDOMAIN. */
export function failureOf(query: Query, rcode: number): Packet {
  return responseTo(query, { flags: rcode });
}

export function srv(name: string, target: string, port: number, ttl = 1, priority = 10): Answer {
  return { type: "SRV", name, ttl, data: { priority, weight: 5, port, target } };
}

export function a(name: string, address: string, ttl = 1): Answer {
  return { type: "A", name, ttl, data: address };
}
