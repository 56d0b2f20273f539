import { type MessageCarrier, MessageSocket } from "@micro-es/runtime/driver";
import type { NatsConnection } from "nats";
import type { NatsLink } from "../link/link.ts";

/** The header of the response to a dial: the subject of the accepted connection. */
export const acceptHeader = "Micro-Accept";

/**
 * A socket over two subjects, one for each side. Each message has the sender's own subject as its
 * reply subject, so that the server reports when the other side no longer listens.
 * @param peer the other side's subject, if it has dialled.
 */
export function subjectSocket(
  link: NatsLink,
  connection: NatsConnection,
  subject: string,
  peer?: string,
): MessageSocket {
  const inbox = connection.subscribe(subject, {
    callback: (error, message) => {
      if (error !== null) return void socket.destroy(error);
      if (message.headers?.code === 503) return socket.absent();
      const accepted = message.headers?.get(acceptHeader) ?? "";
      if (accepted === "") socket.receive(message.data);
      else socket.accepted(accepted);
    },
  });
  const carrier: MessageCarrier = {
    get connected() {
      return link.connected && !connection.isClosed();
    },
    send: (to: string, message: Uint8Array) => connection.publish(to, message, { reply: subject }),
    onReconnect: (listener: () => void) => link.onReconnect(listener),
    close: () => inbox.unsubscribe(),
  };
  const socket = new MessageSocket(carrier, peer);
  return socket;
}
