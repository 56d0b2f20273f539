import { durationMs, type OptionKind, optionsOf } from "../base/option-check.ts";
import type { GoMicroServeOptions } from "./protocol-server.ts";

/** How a listener serves go-micro clients. */
export const serveGoMicro: OptionKind = optionsOf<GoMicroServeOptions>({
  idleTimeoutMs: durationMs(1),
});
