/** Names of the levels of log lines, lowest first. */
export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevelName = (typeof logLevels)[number];
