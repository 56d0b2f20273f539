import { httpTransport, tcpTransport } from "@micro-es/runtime";
import type { TargetSetup } from "../target-process.ts";

/** The target calls URLs by Connect over HTTP/1.1. */
export const setup: TargetSetup = {
  options: () => ({
    transports: [tcpTransport(), httpTransport({ protocol: "connect", httpVersion: "1.1" })],
  }),
};
