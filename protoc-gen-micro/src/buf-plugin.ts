import { buffer } from "node:stream/consumers";
import { checkService } from "./buf-plugin/check-service.ts";
import { handlePluginRpc, InvalidRequest } from "./buf-plugin/plugin-rpc.ts";
import { CheckService } from "./gen/buf/plugin/check/v1/check_pb.ts";

try {
  await handlePluginRpc(CheckService, checkService, {
    args: process.argv.slice(2),
    input: async () => buffer(process.stdin),
    write: (output) => process.stdout.write(output),
  });
} catch (reason) {
  if (!(reason instanceof InvalidRequest)) throw reason;
  process.stderr.write(`buf-plugin-micro: ${reason.message}\n`);
  process.exitCode = 1;
}
