import type { Backend, BackendState } from "../base/backend-state.ts";
import type { MicroError } from "../base/error.ts";
import type { Logger } from "../base/logger.ts";

interface Change {
  readonly state: BackendState;
  readonly reason: MicroError | undefined;
}

/**
 * Logs when parts of a service lose their backends, and when they recover them. Parts that change
 * together, such as those on one connection, share one line.
 * @param parts by their name in the log.
 * @returns a function that stops logging.
 */
export function logBackendStates(
  service: string,
  parts: Readonly<Record<string, Backend>>,
  logger: Logger,
): () => void {
  const changes = new Map<string, Change>();
  const tell = () => {
    const states = new Set([...changes.values()].map(({ state }) => state));
    for (const state of states) {
      const those = [...changes].filter(([, change]) => change.state === state);
      const fields = { service, parts: those.map(([name]) => name) };
      if (state === "healthy") {
        logger.info(fields, "parts of the service are healthy again");
      } else {
        const error = those[0]?.[1].reason;
        logger.warn({ ...fields, error }, `parts of the service are ${state}`);
      }
    }
    changes.clear();
  };
  const forget = Object.entries(parts).map(([name, part]) =>
    part.onStateChange((state, reason) => {
      if (changes.size === 0) queueMicrotask(tell);
      changes.set(name, { state, reason });
    }),
  );
  return () => {
    for (const each of forget) each();
  };
}
