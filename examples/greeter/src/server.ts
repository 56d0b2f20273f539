import { createService } from "@micro-es/runtime";
import { registerGrpcHealth, registerGrpcReflection } from "@micro-es/runtime/debug/grpc";
import { registerGreeterHandler } from "./gen/greeter/v1/greeter_micro.ts";
import { Greeter } from "./greeter.ts";

const service = createService({ name: "greeter" });
const greeter = new Greeter(process.env.GREETER_NAME ?? "greeter", service.broker);
registerGreeterHandler(service.server, greeter);
// For grpcurl, and for tools that monitor gRPC servers.
registerGrpcReflection(service.server);
registerGrpcHealth(service.server);

// The demo starts this file with an IPC channel; started by hand, it has none.
process.on("message", (question) => {
  if (question === "counted?") process.send?.({ counted: greeter.counted });
});
process.channel?.unref();
service.onReady(() => {
  process.send?.({ ready: service.server.addresses });
});

await service.run();
