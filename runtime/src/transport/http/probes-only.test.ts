import { MicroError, tcpTransport } from "@micro-es/runtime";
import { expect, test } from "vitest";
import { echo } from "../../../../test/support/echo.ts";
import { errorOf, outgoing, registerEcho } from "../../../../test/support/server.ts";
import { buildServer } from "../../server/rpc-server.ts";

test("a listener that speaks none of the three protocols serves probes, and refuses calls", async () => {
  const transport = tcpTransport({
    native: false,
    goMicro: false,
    http: { connect: false, grpc: false, grpcWeb: false },
  });
  await using server = buildServer({
    name: "echo",
    listen: [{ transport, address: "127.0.0.1:0" }],
    drainDelayMs: 0,
  });
  registerEcho(server);
  await server.start();
  const address = server.addresses[0] ?? "";
  const url = `http://${address}`;
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  const json = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
  expect((await fetch(`${url}/${echo.echo.name}`, json)).status).toBe(404);
  const call = tcpTransport()
    .dial(address)
    .then((channel) => channel.unary(echo.echo, { text: "native" }, outgoing()));
  expect(await errorOf(call)).toBeInstanceOf(MicroError);
});
