import { Metadata, MicroError, tcpTransport } from "@micro-es/runtime";
import type { Channel } from "@micro-es/runtime/driver";
import { afterAll, beforeAll, expect, test } from "vitest";
import { outgoing } from "../support/server.ts";
import { type GuardedServer, methods, startGuardedServer } from "./guarded-server.ts";

let guarded: GuardedServer;
let channel: Channel;

beforeAll(async () => {
  const transport = tcpTransport();
  guarded = await startGuardedServer(transport, "127.0.0.1:0");
  channel = await transport.dial(guarded.listener.address);
});
afterAll(async () => {
  await channel?.close();
  await guarded?.[Symbol.asyncDispose]();
});

/** Ways to write the name of the method, other than its own. */
const spellings = [
  "micro.test.v1.Guarded//Scoped",
  "/micro.test.v1.Guarded/Scoped",
  "micro.test.v1.Guarded/Scoped/",
  "micro.test.v1.Guarded/Scoped.",
  "micro.test.v1.Guarded./Scoped",
  "micro.test.v1.Guarded%2fScoped",
  "micro.test.v1.Guarded/Sc%6fped",
  "micro.test.v1.Guarded/./Scoped",
  "micro.test.v1.Guarded/../Guarded/Scoped",
  "micro.test.v1.Guarded;a/Scoped",
  "micro.test.v1.GUARDED/Scoped",
  "Guarded.Scoped",
];

for (const name of spellings) {
  test(`${name} is not a way around the scope of ${methods.scoped.name}`, async () => {
    const authorization = `Bearer ${guarded.auth.issue()}`;
    const metadata = new Metadata({ authorization });
    const call = channel.unary({ ...methods.scoped, name }, { text: "a" }, outgoing({ metadata }));
    const error = await call.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(MicroError);
    expect((error as MicroError).code).toBe("unimplemented");
    const refused = /^(?:401|403|404|405)$/;
    for (const path of [`/${name}`, `//${name}`, `/x/../${name}`]) {
      const response = await fetch(`http://${guarded.listener.address}${path}`, {
        method: "POST",
        headers: { authorization, "content-type": "application/json" },
        body: "{}",
      });
      expect(`${response.status}`).toMatch(refused);
      await response.body?.cancel();
    }
    const goMicro = await fetch(`http://${guarded.listener.address}/`, {
      method: "POST",
      headers: {
        authorization,
        "content-type": "application/json",
        "micro-service": "guarded",
        "micro-endpoint": name,
      },
      body: "{}",
    });
    const { code } = JSON.parse(goMicro.headers.get("micro-error") ?? "{}") as { code?: number };
    // The last is go-micro's own name of the method.
    expect(code).toBe(name === "Guarded.Scoped" ? 403 : 501);
    expect(guarded.handled).toEqual([]);
  });
}
