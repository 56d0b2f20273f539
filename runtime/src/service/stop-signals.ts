/**
 * The signals with which an operator stops a process: Ctrl-C, and `kill`, systemd, Docker or
 * Kubernetes.
 */
const stopSignals = ["SIGINT", "SIGTERM"] as const;

/**
 * A signal this soon after another is the same Ctrl-C, which npm forwards as well. In milliseconds.
 */
const echoMs = 300;

/**
 * Calls the listener for the first and the second stop signal, except for such an echo. After that
 * the listeners are removed, so a third signal ends the process immediately, as it would have
 * without them. The returned function removes them as well.
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

/**
 * Keeps the process running until the returned function is called; a listener that lives in another
 * process may not keep it running.
 */
export function keepAlive(): () => void {
  const timer = setInterval(() => {}, 2 ** 31 - 1);
  return () => clearInterval(timer);
}
