import { openBackendParts } from "../../../cli/src/backend-parts.ts";
import { reflect } from "../../../cli/src/schema/reflection.ts";
import type { TargetSetup } from "../target-process.ts";

/**
 * The target asks a server for its schema as `micro call` and `micro describe` do, and reports the
 * code of the error.
 */
export const setup: TargetSetup = {
  async perform(address) {
    await using fleet = await openBackendParts({ MICRO_REGISTRY: "memory" });
    return await reflect(fleet.client("grpc"), { address }).then(
      () => "ok",
      (reason: { readonly code?: string; readonly stack?: string }) => reason.code ?? reason.stack,
    );
  },
};
