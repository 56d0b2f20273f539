import { createService } from "@micro-es/runtime";
import { registerEchoServiceHandler } from "../../../test/gen/micro/test/v1/echo_micro.ts";
import { echoHandler } from "../../../test/support/echo.ts";

// An echo service without reflection, with an IPC channel to a test.
const service = createService({ name: "echo" });
registerEchoServiceHandler(service.server, { ...echoHandler("silent"), onEchoed() {} });
service.onReady(() => {
  process.send?.({ ready: service.server.addresses });
});
process.channel?.unref();
await service.run();
