import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { MicroError } from "@micro-es/runtime";
import { listenForAbort } from "@micro-es/runtime/driver";
import { encodeQuery, type Question } from "./question.ts";
import { isResponseTo, type ResponseRecords, readHeader, readRecords } from "./read-response.ts";
import { type DnsServer, serverName } from "./servers.ts";

/** How a server is asked. */
export interface AskOptions {
  readonly timeoutMs: number;
  /** The largest response by UDP, sent as EDNS. */
  readonly ednsBytes: number;
  /** Asks by TCP only. */
  readonly overTcp: boolean;
  readonly signal: AbortSignal;
}

/** The response of a server that knows the zone. */
export interface DnsResponse extends ResponseRecords {
  /** False for NXDOMAIN. */
  readonly exists: boolean;
}

const noError = 0;
const formatError = 1;
const noSuchName = 3;
const notImplemented = 4;
const rcodes: readonly string[] = [
  ...["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"],
];

/** A response as received, to the question that was asked. */
interface Received {
  readonly rcode: number;
  readonly isTruncated: boolean;
  /** Undefined if it is truncated. */
  readonly records: ResponseRecords | undefined;
}

/**
 * Asks one server, by UDP, and by TCP if its response is truncated. Packets that are not a
 * well-formed response to this question are ignored.
 * @throws MicroError `unavailable` if it does not respond in time, or responds with a failure.
 */
export async function askServer(
  server: DnsServer,
  question: Question,
  options: AskOptions,
): Promise<DnsResponse> {
  let received = options.overTcp
    ? await askByTcp(server, question, options)
    : await askByUdp(server, question, options, options.ednsBytes);
  if (!options.overTcp && [formatError, notImplemented].includes(received.rcode)) {
    // Older than EDNS.
    received = await askByUdp(server, question, options, undefined);
  }
  if (received.isTruncated && !options.overTcp) {
    received = await askByTcp(server, question, options);
  }
  const { rcode, records } = received;
  if (records === undefined || (rcode !== noError && rcode !== noSuchName)) {
    throw failed(server, `it responded ${rcodes[rcode] ?? `with code ${rcode}`}`);
  }
  return { ...records, exists: rcode === noError };
}

function askByUdp(
  server: DnsServer,
  question: Question,
  { timeoutMs, signal }: AskOptions,
  ednsBytes: number | undefined,
): Promise<Received> {
  const id = randomInt(0x1_0000);
  const socket = createSocket(isIPv6(server.host) ? "udp6" : "udp4");
  // Connected, so that the kernel drops packets of others and reports a closed port. The port of a
  // socket that is not bound is random.
  return settleOnce(
    server,
    timeoutMs,
    signal,
    () => socket.close(),
    (resolve, reject) => {
      socket.on("error", (error) => reject(failed(server, error.message, error)));
      socket.on("message", (bytes) => {
        const received = read(bytes, id, question);
        if (received !== undefined) resolve(received);
      });
      socket.on("connect", () => socket.send(encodeQuery(question, id, ednsBytes)));
      socket.connect(server.port, server.host);
    },
  );
}

function askByTcp(
  server: DnsServer,
  question: Question,
  { timeoutMs, signal, ednsBytes }: AskOptions,
): Promise<Received> {
  const id = randomInt(0x1_0000);
  const socket = connect({ port: server.port, host: server.host, noDelay: true });
  return settleOnce(
    server,
    timeoutMs,
    signal,
    () => socket.destroy(),
    (resolve, reject) => {
      const chunks: Buffer[] = [];
      let length = 0;
      socket.on("error", (error) => reject(failed(server, error.message, error)));
      socket.on("close", () => reject(failed(server, "it closed the connection")));
      socket.on("data", (chunk) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length < 2) return;
        const bytes = chunks.length === 1 ? chunk : Buffer.concat(chunks.splice(0));
        if (chunks.length === 0) chunks.push(bytes);
        const size = bytes.readUInt16BE(0);
        if (length < 2 + size) return;
        const received = read(bytes.subarray(2, 2 + size), id, question);
        if (received?.isTruncated === false) resolve(received);
        else reject(failed(server, "it sent by TCP what is not a response to the question"));
      });
      socket.on("connect", () => {
        const query = encodeQuery(question, id, ednsBytes);
        const size = Buffer.alloc(2);
        size.writeUInt16BE(query.length);
        socket.write(Buffer.concat([size, query]));
      });
    },
  );
}

/** Settles once, after at most `timeoutMs`, and then releases. */
function settleOnce(
  server: DnsServer,
  timeoutMs: number,
  signal: AbortSignal,
  release: () => void,
  begin: (resolve: (value: Received) => void, reject: (error: MicroError) => void) => void,
): Promise<Received> {
  return new Promise((resolve, reject) => {
    let isSettled = false;
    let stop = () => {};
    const settle = (apply: () => void) => {
      if (isSettled) return;
      isSettled = true;
      clearTimeout(timer);
      stop();
      release();
      apply();
    };
    const rejectOnce = (error: MicroError) => settle(() => reject(error));
    const timer = setTimeout(
      () => rejectOnce(failed(server, `it did not respond within ${timeoutMs} ms`)),
      timeoutMs,
    );
    begin((value) => settle(() => resolve(value)), rejectOnce);
    stop = listenForAbort(signal, () => rejectOnce(failed(server, "the lookup was cancelled")));
    if (isSettled) stop();
  });
}

/** The response in a packet; undefined if it is not a well-formed one to the question. */
function read(bytes: Buffer, id: number, question: Question): Received | undefined {
  try {
    const header = readHeader(bytes);
    if (!isResponseTo(header, id, question)) return undefined;
    const { rcode, isTruncated } = header;
    return { rcode, isTruncated, records: isTruncated ? undefined : readRecords(bytes) };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function failed(server: DnsServer, why: string, cause?: unknown): MicroError {
  return new MicroError("unavailable", `the DNS server ${serverName(server)} failed: ${why}`, {
    outcome: "not-executed",
    cause,
  });
}
