import type { Logger } from "../base/logger.ts";

/** Wraps a logger so that its failures do not interrupt the caller. */
export function guardLogger(logger: Logger): Logger {
  const guard =
    (level: keyof Logger): Logger["info"] =>
    (fields, message) => {
      try {
        logger[level](fields, message);
      } catch (error) {
        process.emitWarning(`a logger threw: ${error}`, "MicroWarning");
      }
    };
  return {
    debug: guard("debug"),
    info: guard("info"),
    warn: guard("warn"),
    error: guard("error"),
  };
}
