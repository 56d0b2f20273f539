import type { Broker } from "@micro-es/runtime";

export const topic = "greeter.greeted";

/** Publishes the event that the recorded subscriber received. */
export async function publishOurs(on: Broker): Promise<void> {
  await on.publish(topic, {
    id: "from-here",
    body: Buffer.from('{"name":"Grace"}'),
    contentType: "application/json",
    typeName: "greeter.v1.Greeted",
    key: "Grace",
    metadata: { "trace-note": "from TypeScript" },
  });
}
