import { buffer } from "node:stream/consumers";
import { CheckService } from "../gen/buf/plugin/check/v1/check_pb.ts";
import { checkService } from "./check-service.ts";
import { handlePluginRpc, InvalidRequest } from "./plugin-rpc.ts";

/** Handles a run of the plugin that needs protobuf-es: lists the rules, or checks schemas. */
export async function serve(args: readonly string[]): Promise<void> {
  try {
    await handlePluginRpc(CheckService, checkService, {
      args,
      input: async () => buffer(process.stdin),
      write: (output) => process.stdout.write(output),
    });
  } catch (reason) {
    if (!(reason instanceof InvalidRequest)) throw reason;
    process.stderr.write(`buf-plugin-micro: ${reason.message}\n`);
    process.exitCode = 1;
  }
}
