import { connect, type Socket } from "node:net";
import { tcpTransport } from "@micro-es/runtime";
import { afterEach, expect, test } from "vitest";
import { methods, startGuardedServer } from "./guarded-server.ts";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** A request whose body stays incomplete until it is finished. */
async function begin(address: string, token: string) {
  const [host, port] = address.split(":");
  const socket: Socket = connect({ host: host ?? "", port: Number(port) });
  open.push(() => socket.destroy());
  let received = "";
  socket.on("data", (bytes) => {
    received += bytes;
  });
  const body = '{"text":"late"}';
  socket.write(
    `POST /${methods.scoped.name} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
      `authorization: Bearer ${token}\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
  );
  return {
    finish: () => socket.write(body.slice(5)),
    status: () => expect.poll(() => /^HTTP\/1\.1 (\d+)/.exec(received)?.[1]),
  };
}

test("a call whose body comes after its credential was revoked is not executed", async () => {
  const guarded = await startGuardedServer(tcpTransport(), "127.0.0.1:0");
  open.push(() => guarded[Symbol.asyncDispose]());
  const [kept, revoked] = [guarded.auth.issue("echo.write"), guarded.auth.issue("echo.write")];
  const first = await begin(guarded.listener.address, kept);
  const second = await begin(guarded.listener.address, revoked);
  await expect.poll(() => guarded.auth.inspected).toBe(2);
  await guarded.auth.revokeToken(revoked);
  second.finish();
  await second.status().toBe("401");
  first.finish();
  await first.status().toBe("200");
  expect(guarded.handled.map(([, id]) => id)).toEqual(["user-1"]);
});
