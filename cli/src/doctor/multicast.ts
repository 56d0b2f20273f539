import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { Finding } from "./checks.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/** mDNS' group (RFC 6762); the port is another, so that nobody else hears the question. */
const group = "224.0.0.251";

/** How long a packet may take to come back, in milliseconds. */
const patienceMs = 2_000;

/** Whether a packet to mDNS' group comes back, which is how services find each other by default. */
export async function checkMulticast(environment: Variables): Promise<Finding> {
  if ((environment.MICRO_REGISTRY ?? "mdns") !== "mdns") {
    return {
      state: "good",
      found: `not needed with MICRO_REGISTRY=${environment.MICRO_REGISTRY}`,
    };
  }
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  try {
    return await send(socket, environment.MICRO_MDNS_INTERFACE);
  } catch (reason) {
    return { ...nothingComesBack, found: (reason as Error).message };
  } finally {
    socket.close();
  }
}

const nothingComesBack: Finding = {
  state: "wrong",
  found: "packets to 224.0.0.251 do not come back",
  remedy:
    "on one machine set MICRO_MDNS_INTERFACE=127.0.0.1; across machines use NATS (MICRO_NATS_URL)",
};

async function send(socket: Socket, interface_: string | undefined): Promise<Finding> {
  socket.bind(0, "0.0.0.0");
  await once(socket, "listening");
  const address = interface_ !== undefined && /^[\d.]+$/.test(interface_) ? interface_ : undefined;
  socket.addMembership(group, address);
  if (address !== undefined) socket.setMulticastInterface(address);
  socket.setMulticastLoopback(true);
  const sent = `micro doctor ${process.pid} ${Math.random()}`;
  const back = new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), patienceMs);
    socket.on("message", (message) => {
      if (message.toString() !== sent) return;
      clearTimeout(timer);
      resolve(true);
    });
  });
  socket.send(sent, socket.address().port, group);
  return (await back)
    ? { state: "good", found: "packets to 224.0.0.251 come back" }
    : nothingComesBack;
}
