import { createService } from "@micro-es/runtime";
import { registerEchoServiceHandler } from "../gen/micro/test/v1/echo_micro.ts";
import { echoHandler } from "../support/echo.ts";

// A service with default options that announces its address and runs until SIGTERM.

const service = createService({ name: "echo" });
registerEchoServiceHandler(service.server, { ...echoHandler("runtimes"), onEchoed() {} });
service.onReady(() => {
  process.stdout.write(`listening ${service.server.addresses[0]}\n`);
});
await service.run();
