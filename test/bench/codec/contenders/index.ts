import type { Contender } from "../contender.ts";
import { microEs } from "./micro-es.ts";
import { protobufEs } from "./protobuf-es.ts";
import { protobufJs } from "./protobufjs.ts";
import { tsProto } from "./ts-proto.ts";

/** All contenders, ours first. */
export const contenders: readonly Contender[] = [microEs, protobufEs, protobufJs, tsProto];
