import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { withoutCredentials } from "@micro-es/runtime/redact";
import type { Finding, Variables } from "./check.ts";

/** mDNS' group (RFC 6762); the port differs, so that no other program receives the packet. */
const group = "224.0.0.251";

/** Maximum time for a packet to come back, in milliseconds. */
const patienceMs = 2_000;

/** Whether a packet to mDNS' group comes back; by default, services find each other by mDNS. */
export async function checkMulticast(environment: Variables): Promise<Finding> {
  const chosen = (["MICRO_REGISTRY", "MICRO_BACKEND"] as const).find((name) => environment[name]);
  const registry = chosen === undefined ? "mdns:" : (environment[chosen] ?? "");
  const own = /(?:^|,)\s*(mdns(?::[^,]*)?)(?:,|$)/i.exec(registry)?.[1];
  if (own === undefined) {
    return { state: "good", found: `not needed with ${chosen}=${withoutCredentials(registry)}` };
  }
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  try {
    const parameters = new URLSearchParams(/\?(.*)/.exec(own)?.[1]);
    return await send(socket, parameters.get("interface") ?? environment.MICRO_MDNS_INTERFACE);
  } catch (reason) {
    return { ...nothingComesBack, found: (reason as Error).message };
  } finally {
    socket.close();
  }
}

const nothingComesBack: Finding = {
  state: "wrong",
  found: "packets to 224.0.0.251 do not come back",
  fix: "on one machine set MICRO_MDNS_INTERFACE=127.0.0.1; across machines use a registry on a backend (MICRO_REGISTRY)",
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
