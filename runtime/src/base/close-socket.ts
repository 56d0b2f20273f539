import type { Socket } from "node:net";

/** How long a closed connection may take to send its pending output, in milliseconds. */
const lingerMs = 1_000;

/**
 * Sends the pending output, then FIN, and waits briefly for the peer's FIN. Closing with unread
 * bytes would reset the connection, and a reset may overtake what was sent.
 *
 * @param violated whether the peer broke the protocol, so that its FIN is not waited for
 */
export function closeSocket(socket: Socket, violated: boolean): void {
  if (socket.destroyed) return;
  if (socket.connecting) {
    socket.destroy();
    return;
  }
  socket.setTimeout(0);
  if (violated) socket.destroySoon();
  else socket.end();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  timer.unref();
  socket.once("close", () => clearTimeout(timer));
}
