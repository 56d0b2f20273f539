import { tcpTransport } from "@micro-es/runtime";
import { buildServer } from "../../runtime/src/server/rpc-server.ts";
import { echoHandler } from "./echo.ts";
import { registerEcho } from "./server.ts";

// The program of an EchoProcess: it reports its address and each `Once` that it begins by a line.

const server = buildServer({
  name: "echo",
  listen: [{ transport: tcpTransport(), address: "127.0.0.1:0" }],
});
const handler = echoHandler();
registerEcho(server, {
  ...handler,
  once(request, context) {
    process.stdout.write(`executed ${request.text}\n`);
    return handler.once(request, context);
  },
});
// The end of whoever started it closes this.
process.stdin.resume().once("end", () => process.exit());
await server.start();
process.stdout.write(`listening ${server.addresses[0]}\n`);
