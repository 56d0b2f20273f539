import type { LogFields, Logger } from "./logger.ts";

/** A part of a service that can log to the service's logger. */
export interface LoggingPart {
  /**
   * Sets the logger of the service, client or server that uses the part. A part created with a
   * logger of its own ignores it; a part that several services share logs to the first one's.
   */
  useLogger?(logger: Logger): void;
}

/**
 * The logger of a part: its own, otherwise that of the service that uses it, and a default until
 * there is one.
 */
export class PartLogger implements Logger {
  #logger: Logger;
  #isFinal: boolean;

  /** @param own the logger that the part was created with. */
  constructor(own: Logger | undefined, byDefault: Logger) {
    this.#logger = own ?? byDefault;
    this.#isFinal = own !== undefined;
  }

  /** Implements {@link LoggingPart.useLogger}. */
  use(logger: Logger): void {
    if (this.#isFinal) return;
    this.#logger = logger;
    this.#isFinal = true;
  }

  debug(fields: LogFields, message: string): void {
    this.#logger.debug(fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.#logger.info(fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#logger.warn(fields, message);
  }

  error(fields: LogFields, message: string): void {
    this.#logger.error(fields, message);
  }
}

/** Sets the logger of all parts that have none of their own. */
export function shareLogger(logger: Logger, parts: readonly (object | undefined)[]): void {
  for (const part of parts) (part as LoggingPart | undefined)?.useLogger?.(logger);
}
