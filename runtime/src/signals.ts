/** What an operator stops a process with: Ctrl-C, and `kill`, systemd, Docker or Kubernetes. */
const stopSignals = ["SIGINT", "SIGTERM"] as const;

/** A signal that comes this soon after another is the same Ctrl-C, which npm passes on as well. In milliseconds. */
const echoMs = 300;

/**
 * Calls the listener for the first stop signal and for the second, unless that is an echo. After that the listeners
 * are gone, so a third one ends the process at once, as it would have without us; so does the returned function.
 */
export function onStopSignal(
  listener: (signal: NodeJS.Signals, again: boolean) => void,
): () => void {
  let heard = 0;
  let heardAt = Number.NEGATIVE_INFINITY;
  const hear = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (now - heardAt < echoMs) return;
    heardAt = now;
    heard++;
    if (heard === 2) forget();
    listener(signal, heard > 1);
  };
  const forget = (): void => {
    for (const signal of stopSignals) process.off(signal, hear);
  };
  for (const signal of stopSignals) process.on(signal, hear);
  return forget;
}

/** Keeps the process running until the returned function is called; a listener of another process may not. */
export function keepAlive(): () => void {
  const timer = setInterval(() => {}, 2 ** 31 - 1);
  return () => clearInterval(timer);
}
