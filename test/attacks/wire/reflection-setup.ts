import { registerGrpcReflection } from "@micro-es/runtime/debug/grpc";
import type { TargetSetup } from "../target-process.ts";

/** The target serves gRPC reflection. */
export const setup: TargetSetup = {
  beforeStart: ({ server }) => registerGrpcReflection(server),
};
