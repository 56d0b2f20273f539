import { create } from "@bufbuild/protobuf";
import { credentials, Metadata, makeGenericClientConstructor } from "@grpc/grpc-js";
import { EchoRequestSchema, EchoService } from "../../../gen/micro/test/v1/echo_pb.ts";
import { serviceDefinition } from "../../../interop/grpc-js/service.ts";
import { underLoad } from "../load.ts";

/**
 * @grpc/grpc-js over a fixed list of servers, as documented: round robin, and calls wait for a
 * connection.
 */
const [perSecond, addresses] = process.argv.slice(2);
const Client = makeGenericClientConstructor(serviceDefinition(EchoService), EchoService.typeName);
const client = new Client(`ipv4:${addresses}`, credentials.createInsecure(), {
  "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
});
const metadata = new Metadata({ waitForReady: true });
const once = client.once?.bind(client) as (...args: unknown[]) => void;
const request = create(EchoRequestSchema, { text: "load", delayMs: 50 });
await underLoad(
  Number(perSecond),
  () =>
    new Promise((resolve, reject) => {
      once(
        request,
        metadata,
        { deadline: Date.now() + 60_000 },
        (error: Error | null, it: unknown) => (error === null ? resolve(it) : reject(error)),
      );
    }),
);
