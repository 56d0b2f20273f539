import { createService, MicroError } from "@micro-es/runtime";
import { debugService } from "@micro-es/runtime/debug";
import { registerGrpcHealth, registerGrpcReflection } from "@micro-es/runtime/debug/grpc";
import {
  type EchoServiceHandler,
  registerEchoServiceHandler,
} from "../../../test/gen/micro/test/v1/echo_micro.ts";
import { echoHandler } from "../../../test/support/echo.ts";

// An echo service with reflection, health checks and a debug service, and an IPC channel to a test.
const service = createService({ name: "echo", debug: debugService() });
const handler: EchoServiceHandler = {
  ...echoHandler(process.env.ECHO_SERVER ?? "echo"),
  onEchoed() {},
};
registerEchoServiceHandler(service.server, {
  ...handler,
  echo(request, context) {
    const tag = context.requestMetadata.get("x-tag");
    if (typeof tag === "string") context.responseMetadata.set("x-tag", tag);
    if (request.text.startsWith("log ")) {
      service.logger.warn({ who: request.text.slice(4) }, "told to log\nthis");
    }
    if (request.text === "secret") throw new MicroError("permission_denied", "not for you");
    return handler.echo(request, context);
  },
});
registerGrpcReflection(service.server);
const health = registerGrpcHealth(service.server);
process.on("message", (message) => {
  if (message === "sick") health.set("", "not_serving");
  process.send?.({ done: message });
});
process.channel?.unref();
service.onReady(() => {
  process.send?.({ ready: service.server.addresses });
});
await service.run();
