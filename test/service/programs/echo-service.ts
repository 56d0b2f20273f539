import { createService } from "@micro-es/runtime";
import { protobufCodec } from "@micro-es/runtime/codec";
import { topic as createTopic } from "@micro-es/runtime/codegenv1/topic";
import { EchoedSchema } from "../../gen/micro/test/v1/echo_pb.ts";
import { echoHandler } from "../../support/echo.ts";
import { registerEcho } from "../../support/server.ts";

// A service in a process of its own: it echoes, counts the events it receives, and reports both to
// the test.

const name = process.env.ECHO_SERVER ?? "";
const queue = process.env.ECHO_QUEUE;
const handler = echoHandler(name);
const service = createService({ name: "echo" });

registerEcho(service.server, {
  ...handler,
  once(request, context) {
    process.send?.({ [`begun ${request.text}`]: true });
    // What ignores its signal can only be cut off.
    if (request.text === "hang") return new Promise(() => {});
    return handler.once(request, context);
  },
});

const echoed = createTopic({ name: "echo.echoed", codec: protobufCodec(EchoedSchema) });
service.server.subscribe(
  echoed,
  ({ number }) => {
    process.send?.({ heard: number });
  },
  queue === undefined ? {} : { queue },
);
service.onReady(() => {
  process.send?.({ ready: service.server.addresses });
});
service.onStop(() => {
  process.send?.({ stopping: true });
});
process.channel?.unref();
await service.run();
