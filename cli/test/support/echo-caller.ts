import { createService } from "@micro-es/runtime";
import { createEchoServiceClient } from "../../../test/gen/micro/test/v1/echo_micro.ts";

// A service that calls echo and answers nothing itself. Run by tests with a channel to talk over.
const service = createService({ name: process.env.CALLER_NAME ?? "teller" });
createEchoServiceClient(service.client);
service.onReady(() => {
  process.send?.({ ready: service.server.addresses });
});
process.channel?.unref();
await service.run();
