import { answering } from "@micro-es/contract/transport-fixture";
import { NatsLink, natsTransport } from "@micro-es/nats";
import type { TargetSetup } from "../target-process.ts";

const response = { text: "x".repeat(1e6) };

/** The target also accepts calls over NATS, by servers at a URL; returns its address there. */
export const setup: TargetSetup = {
  async perform(servers) {
    const transport = natsTransport({ link: new NatsLink({ servers }) });
    const { address } = await transport.listen("nats:0", answering({ unary: () => response }));
    return address;
  },
};
