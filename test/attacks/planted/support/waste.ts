import type { MessageInitShape } from "@bufbuild/protobuf";
import type { WasteRequestSchema } from "../../../gen/micro/attack/v1/target_pb.ts";
import type { Target } from "../../target.ts";

/** Makes the target waste the requested resources. */
export async function waste(
  target: Target,
  request: MessageInitShape<typeof WasteRequestSchema>,
): Promise<void> {
  const body = JSON.stringify(request);
  target.count(body.length);
  await fetch(`http://${target.host}:${target.port}/micro.attack.v1.TargetService/Waste`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  }).catch(() => undefined);
}
