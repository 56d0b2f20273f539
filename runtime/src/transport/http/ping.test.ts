import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { type MicroError, tcpTransport } from "@micro-es/runtime";
import { afterEach, describe, expect, test } from "vitest";
import { answering } from "../../../../test/contract/transport-fixture.ts";
import { echo } from "../../../../test/support/echo.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

async function connected() {
  const errors: MicroError[] = [];
  const listener = await tcpTransport().listen(
    "127.0.0.1:0",
    answering({
      unary: ({ text }) => ({ text }),
      async *stream() {
        for (let index = 0; index < 2_500; index++) {
          yield { index };
          await new Promise(setImmediate);
        }
      },
    }),
    { onConnectionError: (error) => errors.push(error) },
  );
  open.push(listener);
  const session = connectHttp2(`http://${listener.address}`);
  session.on("error", () => undefined);
  open.push({ close: () => session.destroy() });
  await once(session, "remoteSettings");
  return { session, errors };
}

function ping(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve) => session.ping(() => resolve()));
}

function call(session: ClientHttp2Session, method: string) {
  const stream = session.request({
    ":method": "POST",
    ":path": `/${method}`,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.end(new Uint8Array(5));
  return stream;
}

describe("PING", () => {
  test("for every call, as grpc-go sends it, is allowed", async () => {
    const { session, errors } = await connected();
    for (let index = 0; index < 2_000; index++) {
      const stream = call(session, echo.echo.name).resume();
      await Promise.all([once(stream, "close"), ping(session)]);
    }
    expect(errors).toEqual([]);
    expect(session.destroyed).toBe(false);
  }, 60_000);

  test("for every message of a stream is allowed", async () => {
    const { session, errors } = await connected();
    const stream = call(session, echo.repeat.name);
    let pings = 0;
    stream.on("data", () => {
      pings++;
      session.ping(() => undefined);
    });
    await once(stream, "close");
    expect(pings).toBeGreaterThan(1_200);
    expect(errors).toEqual([]);
  }, 60_000);

  test("without anything in between ends the connection", async () => {
    const { session, errors } = await connected();
    const closed = new Promise((resolve) => session.once("close", resolve));
    session.on("error", () => undefined);
    for (let round = 0; round < 3_000 && !session.destroyed; round++) {
      session.ping(() => undefined);
      if (round % 8 === 0) await new Promise(setImmediate);
    }
    await closed;
    expect(errors.map(({ message }) => message)).toEqual([
      expect.stringContaining("PING was sent more than 1000 times"),
    ]);
  }, 60_000);
});
