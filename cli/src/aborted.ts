/**
 * Resolves when the signal aborts; at once if it has aborted, because a command may be interrupted
 * before it waits.
 */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
