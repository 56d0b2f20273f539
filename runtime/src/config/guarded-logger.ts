import type { Logger } from "../logger.ts";

/** A logger whose failures do not stop what it is told of. */
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
