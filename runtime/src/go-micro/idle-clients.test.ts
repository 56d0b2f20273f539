import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { registerEcho } from "../../../test/support/server.ts";
import { buildServer } from "../server/rpc-server.ts";
import { tcpTransport } from "../transport/tcp/transport.ts";

test("a server closes cleanly while a go-micro client keeps its connection for later calls", async () => {
  const listen = [{ transport: tcpTransport(), address: "127.0.0.1:0" }];
  const server = buildServer({ name: "echo", listen });
  registerEcho(server);
  await server.start();
  const port = Number(server.addresses[0]?.split(":").pop());
  // As go-micro's client, it does not close when the server does.
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const header =
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Type: application/json\r\nMicro-Endpoint: EchoService.Echo\r\nMicro-Id: 0\r\nMicro-Service: echo\r\n\r\n";
  socket.write(`${header}{}`);
  await once(socket, "data");
  await expect(server.close()).resolves.toBeUndefined();
  socket.destroy();
});
