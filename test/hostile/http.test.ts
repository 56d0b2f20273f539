import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  endHeaders,
  endStream,
  frame,
  grpcHeader,
  headerLine,
  preface,
  RawConnection,
  setting,
  types,
  uint32,
} from "./raw-http2.ts";
import { grpcStatus, Victim } from "./victim.ts";

/**
 * What clients do who mean harm, or are broken, to one server after another, while others call it.
 * The server has a process of its own: its memory may grow by so much and no more, and it must be
 * the same server at the end.
 */

const service = "/micro.test.v1.EchoService";
const callHeader = grpcHeader(`${service}/Echo`);
/** The same for a body of one byte, and a longer one. */
const shortHeader = Buffer.concat([callHeader, headerLine("content-length", "1")]);
const lengthy = Buffer.alloc(5);
const megabyte = 1024 * 1024;
/**
 * What harm may cost: what a connection costs, and what the allocators keep of what was freed. A
 * message that says before that it is too large costs next to nothing, and one that unpacks to too
 * much no more than it may measure, and room to unpack it. A client may have 1,000 streams open,
 * and reset 800 more before its connection is ended; each takes some 32 KiB of the system while its
 * request is parsed, which does not depend on how many more are sent.
 */
const most = {
  held: 48 * megabyte,
  announced: 8 * megabyte,
  unpacked: (4 + 16) * megabyte,
  rss: (1_800 * megabyte) / 32,
};

/**
 * Within what a connection is closed that floods, and one that says nothing or takes nothing, in
 * milliseconds.
 */
const closedWithinMs = { flood: 1_000, silence: 15_000 };
/**
 * Within what a message that announces too much is refused on a connection of its own, in
 * milliseconds.
 */
const refusedWithinMs = 250;
/**
 * A call of another client takes no longer on a machine that has nothing else to do, not even
 * during a flood. Where it takes longer, everything may take longer in the same ratio.
 */
const quietCallMs = 50;
const patient = { timeout: closedWithinMs.silence };

let victim: Victim;
const open: RawConnection[] = [];

beforeAll(async () => {
  victim = await Victim.start();
});
afterAll(async () => {
  await victim?.close();
  console.log(`Node ${process.version}\n${figures.join("\n")}`);
});

/** What each harm came to, for people to read. */
const figures: string[] = [];

function raw(): RawConnection {
  const connection = new RawConnection(victim.port);
  open.push(connection);
  return connection;
}

/**
 * Does harm while others call: they must be served, and little memory be taken.
 *
 * @param held how much may be held meanwhile, in bytes
 * @returns how long the slowest of those calls took, in milliseconds
 */
async function endured(harm: () => Promise<unknown>, held = most.held): Promise<number> {
  const { growth, servedMs } = await victim.during(harm);
  for (const connection of open.splice(0)) connection.close();
  const [slowestMs = 0] = servedMs.slice(-1);
  const medianMs = servedMs[Math.floor(servedMs.length / 2)] ?? 0;
  const inMegabytes = (bytes: number) => `${(bytes / megabyte).toFixed(1)} MiB`;
  figures.push(
    `${expect.getState().currentTestName}: ${inMegabytes(growth.held)} held, ${inMegabytes(growth.rss)} of the system's; ${servedMs.length} calls of others, ${medianMs.toFixed(0)} ms (median), ${slowestMs.toFixed(0)} ms (slowest)`,
  );
  expect(servedMs.length).toBeGreaterThan(0);
  expect(growth.held).toBeLessThan(held);
  expect(growth.rss).toBeLessThan(most.rss);
  await expect.poll(async () => (await victim.state()).inFlight).toBe(0);
  return slowestMs;
}

async function harmless(harm: () => Promise<unknown>, held?: number): Promise<void> {
  await endured(harm, held);
}

/**
 * Does harm that says how long something took, in milliseconds.
 *
 * @param withinMs how long it may take where a call takes no longer than {@link quietCallMs}
 */
async function timed(harm: () => Promise<number>, withinMs: number, held?: number): Promise<void> {
  let tookMs = Number.POSITIVE_INFINITY;
  const slowestMs = await endured(async () => {
    tookMs = await harm();
  }, held);
  figures.push(`  took ${tookMs.toFixed(0)} ms`);
  expect(tookMs).toBeLessThan(withinMs * Math.max(1, slowestMs / quietCallMs));
}

/** Floods a connection, which must be closed soon, and long before it has taken this much. */
function cutOff(piece: (round: number) => Buffer, mostBytes: number, before?: Buffer) {
  const flood = async () => {
    const connection = raw();
    connection.greet();
    if (before !== undefined) connection.socket.write(before);
    const began = performance.now();
    expect(await connection.flood(piece, mostBytes)).toBeLessThan(mostBytes);
    await connection.closed;
    return performance.now() - began;
  };
  return timed(flood, closedWithinMs.flood);
}

/**
 * Lets a message be refused some times. @returns how long the quickest took, in milliseconds:
 * others had to wait.
 */
async function quickest(refused: () => Promise<void>): Promise<number> {
  let took = Number.POSITIVE_INFINITY;
  for (let time = 0; time < 5; time++) {
    const began = performance.now();
    await refused();
    took = Math.min(took, performance.now() - began);
  }
  return took;
}

/** The numbers of a hundred streams of a round. */
function streams(round: number): number[] {
  return Array.from({ length: 100 }, (_, index) => 1 + 2 * (100 * round + index));
}

describe("floods end the connection that they come by", () => {
  /** Floods with streams, of each of which these frames are sent. */
  const streamFlood = (framesOf: (stream: number) => readonly Buffer[]) => {
    const most = 100_000 * Buffer.concat(framesOf(1)).length;
    return cutOff((round) => Buffer.concat(streams(round).flatMap(framesOf)), most);
  };
  const headers = (stream: number) => frame(types.headers, endHeaders, stream, callHeader);
  const emptyMessage = Buffer.alloc(5);

  test.each([
    ["with the code of success", 0],
    ["with CANCEL", 8],
    ["with a code that does not exist", 0xfff],
  ])("100,000 streams that are opened and reset %s", (_, code) =>
    streamFlood((stream) => [headers(stream), frame(types.reset, 0, stream, uint32(code))]),
  );

  test.each([0, 8])("100,000 complete requests that are reset with code %d", (code) =>
    streamFlood((stream) => [
      headers(stream),
      frame(types.data, endStream, stream, emptyMessage),
      frame(types.reset, 0, stream, uint32(code)),
    ]),
  );

  test.each([
    ["an increment of nothing", (id: number) => frame(types.windowUpdate, 0, id, uint32(0))],
    ["a window too large", (id: number) => frame(types.windowUpdate, 0, id, uint32(2 ** 31 - 1))],
    ["a length that the body exceeds", (id: number) => frame(types.data, endStream, id, lengthy)],
  ])("100,000 streams that the server must reset because of %s", (what, provocation) => {
    const header = what.startsWith("a length") ? shortHeader : callHeader;
    return streamFlood((stream) => [
      frame(types.headers, endHeaders, stream, header),
      provocation(stream),
    ]);
  });

  test("100 MB of CONTINUATION", () => {
    const piece = frame(types.continuation, 0, 1, Buffer.alloc(16_000, "\x00\x03abc\x03def"));
    return cutOff(() => piece, 100 * megabyte, frame(types.headers, 0, 1, callHeader));
  });

  test("SETTINGS", () => {
    const piece = Buffer.concat(Array.from({ length: 100 }, () => setting(4, 65_535)));
    return cutOff(() => piece, 20 * megabyte);
  });

  test("PING whose replies are read", () => {
    const piece = Buffer.concat(
      Array.from({ length: 100 }, () => frame(types.ping, 0, 0, Buffer.alloc(8))),
    );
    return cutOff(() => piece, 20 * megabyte);
  });
});

describe("floods of HTTP/2 frames cost no memory", () => {
  test("frames without data, and windows that grow by a byte", () =>
    harmless(async () => {
      const connection = raw();
      connection.greet();
      connection.socket.write(frame(types.headers, endHeaders, 1, callHeader));
      const pair = [frame(types.data, 0, 1), frame(types.windowUpdate, 0, 0, uint32(1))];
      const piece = Buffer.concat(Array.from({ length: 500 }, () => pair).flat());
      await connection.flood(() => piece, 10 * megabyte);
    }));

  test("headers that decompress to a hundred times their size", () =>
    harmless(async () => {
      const connection = raw();
      connection.greet();
      // One line of 4,000 bytes that goes into the table, and then the number of its place, again
      // and again.
      const long = Buffer.concat([
        Buffer.of(0x40, 1),
        Buffer.from("x"),
        Buffer.of(0x7f, 0xa1, 0x1e),
        Buffer.alloc(4_000, "y"),
      ]);
      const many = Buffer.alloc(12_000, 0xbe);
      await connection.flood((round) => {
        const first = round === 0 ? [callHeader, long] : [callHeader];
        return frame(types.headers, endHeaders, 1 + 2 * round, Buffer.concat([...first, many]));
      }, 10 * megabyte);
    }));

  test.each([
    ["of 1,000 bytes", Buffer.concat([Buffer.of(0x12, 0xe8, 0x07), Buffer.alloc(1_000)])],
    ["of a few bytes", Buffer.alloc(0)],
  ])("16,383 responses %s for each of 100 calls, which are never read", async (_, payload) => {
    // What the first round cost must be there again for the next ones.
    for (let round = 0; round < 3; round++) {
      await harmless(async () => {
        takeNothing(payload);
        await expect.poll(async () => (await victim.state()).inFlight).toBe(100);
        for (let call = 0; call < 20; call++) await victim.serve();
      }, 24 * megabyte);
    }
  });

  test("calls whose responses are not read are abandoned, though their connection lives", () =>
    harmless(async () => {
      const connection = takeNothing(Buffer.alloc(0));
      const ping = frame(types.ping, 0, 0, Buffer.alloc(8));
      const alive = setInterval(() => connection.socket.write(ping), 500);
      await expect.poll(async () => (await victim.state()).inFlight).toBe(100);
      await expect.poll(async () => (await victim.state()).inFlight, patient).toBe(0);
      expect(connection.isClosed).toBe(false);
      clearInterval(alive);
    }));
});

/**
 * Calls for a hundred response streams on a connection whose window lets none of them through.
 */
function takeNothing(payload: Buffer): RawConnection {
  const connection = raw();
  connection.greet(setting(4, 0));
  const request = Buffer.concat([payload, Buffer.of(0x18, 0xff, 0x7f)]);
  const message = Buffer.concat([Buffer.of(0), uint32(request.length), request]);
  const header = grpcHeader(`${service}/Repeat`);
  for (const stream of streams(0)) {
    connection.socket.write(frame(types.headers, endHeaders, stream, header));
    connection.socket.write(frame(types.data, 1, stream, message));
  }
  return connection;
}

describe("bombs", () => {
  const forms = {
    gRPC: { path: "Echo", type: "application/grpc", status: "8" },
    "gRPC-Web": { path: "Echo", type: "application/grpc-web+proto", status: "8" },
    "a stream of Connect": {
      path: "Collect",
      type: "application/connect+proto",
      status: "resource_exhausted",
    },
  };

  test.each(Object.entries(forms))(
    "a prefix that announces 1 GiB is refused before any byte arrives: %s",
    (_, { path, type, status }) => {
      const headers = { ":path": `${service}/${path}`, "content-type": type };
      const prefix = Buffer.of(0, 0x40, 0, 0, 0);
      const refused = async () =>
        expect(await grpcStatus(victim.port, headers, prefix)).toBe(status);
      return timed(() => quickest(refused), refusedWithinMs, most.announced);
    },
  );

  test.each(["application/json", "application/proto"])(
    "a length of 1 GiB is refused before any byte arrives: a Connect call in %s",
    (type) => {
      const header = `host: localhost\r\ncontent-type: ${type}\r\ncontent-length: ${1024 * megabyte}\r\n\r\n`;
      const refused = async () => {
        const { socket } = raw();
        socket.write(`POST ${service}/Echo HTTP/1.1\r\n${header}`);
        const [answer] = (await once(socket, "data")) as [Buffer];
        expect(answer.toString("latin1")).toMatch(/^HTTP\/1.1 429 /);
      };
      return timed(() => quickest(refused), refusedWithinMs, most.announced);
    },
  );

  const zeros = Buffer.alloc(256 * megabyte);
  const packed = {
    gzip: (bytes: Buffer) => gzipSync(bytes, { level: 9 }),
    br: (bytes: Buffer) =>
      brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
  };

  describe.each(Object.entries(packed))("%s", (encoding, pack) => {
    const bomb = pack(zeros);

    test.each(Object.entries(forms))("%s", (_, { path, type, status }) =>
      harmless(async () => {
        const headers = {
          ":path": `${service}/${path}`,
          "content-type": type,
          [type.includes("connect") ? "connect-content-encoding" : "grpc-encoding"]: encoding,
        };
        const body = Buffer.concat([Buffer.of(1), uint32(bomb.length), bomb]);
        expect(await grpcStatus(victim.port, headers, body)).toBe(status);
      }, most.unpacked),
    );

    test("a Connect call, by POST and by GET", () =>
      harmless(async () => {
        const url = `http://127.0.0.1:${victim.port}${service}/Echo`;
        const headers = { "content-type": "application/proto", "content-encoding": encoding };
        const answer = await fetch(url, { method: "POST", headers, body: bomb });
        expect(await answer.json()).toMatchObject({ code: "resource_exhausted" });
        // As much as fits into a header.
        const small = pack(zeros.subarray(0, 6 * megabyte)).toString("base64url");
        const query = `connect=v1&encoding=proto&base64=1&compression=${encoding}&message=${small}`;
        const got = await fetch(`${url}?${query}`);
        // A URL may hold no compressed message at all.
        expect(await got.json()).toMatchObject({ code: "invalid_argument" });
      }, most.unpacked));
  });
});

describe("a silent or incomplete client is disconnected", () => {
  test("a header that arrives byte by byte, a partial preface, a partial TLS handshake", () =>
    timed(async () => {
      const slow = raw();
      const slowly = setInterval(() => slow.socket.write("P"), 100);
      const header = raw();
      header.socket.write("GET / HTTP/1.1\r\nhost: localhost\r\n");
      const line = setInterval(() => header.socket.write("x-more: y\r\n"), 100);
      const half = raw();
      half.socket.write(preface.subarray(0, 20));
      const tls = raw();
      tls.socket.write(Buffer.of(0x16, 3, 1));
      const silent = raw();
      silent.greet();
      const began = performance.now();
      await Promise.all([slow, header, half, tls, silent].map(({ closed }) => closed));
      const took = performance.now() - began;
      clearInterval(slowly);
      clearInterval(line);
      return took;
    }, closedWithinMs.silence));

  test("5,000 silent connections", { timeout: 180_000 }, () =>
    timed(async () => {
      /** How long each was open, in milliseconds. */
      const closed: Promise<number>[] = [];
      // In waves: connections in the system's full queue never reached the server.
      for (let wave = 0; wave < 20; wave++) {
        const connected = Array.from({ length: 250 }, () => {
          const socket = connectTcp({ host: "127.0.0.1", port: victim.port });
          socket.on("error", () => undefined).resume();
          let openedAt = performance.now();
          closed.push(
            new Promise((resolve) =>
              socket.once("close", () => resolve(performance.now() - openedAt)),
            ),
          );
          return new Promise<void>((resolve) =>
            socket.once("connect", () => {
              openedAt = performance.now();
              resolve();
            }),
          );
        });
        await Promise.all(connected);
        await victim.serve();
      }
      return Math.max(...(await Promise.all(closed)));
    }, closedWithinMs.silence),
  );
});
