import { goMicroNatsTransport, NatsLink, natsTransport } from "@micro-es/nats";
import { afterAll, beforeAll, describe } from "vitest";
import { describeAccess } from "../../../test/auth/access-suite.ts";
import { type NatsServer, skipWithoutNats, startNats } from "./server.ts";

describe.skipIf(skipWithoutNats)("access over NATS", () => {
  let server: NatsServer;
  let link: NatsLink;
  beforeAll(async () => {
    server = await startNats({ jetstream: false });
    link = new NatsLink({ servers: server.url });
  });
  afterAll(async () => {
    await link?.close();
    await server?.close();
  });

  describeAccess("NATS", () => {
    const transport = natsTransport({ link });
    return { serve: transport, call: transport, address: "nats:0" };
  });
  describeAccess("go-micro on NATS", () => {
    const transport = goMicroNatsTransport({ link });
    return { serve: transport, call: transport, address: "nats:0" };
  });
});
