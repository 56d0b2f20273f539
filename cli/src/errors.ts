/** The command line itself is wrong, and nothing was done. Exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A command failed. Used in place of MicroError, so that no runtime is loaded. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  /** The matching gRPC code; the exit code is 64 plus its number. */
  readonly code: "data_loss" | "not_found" | "unavailable" | "unknown";

  constructor(code: CommandError["code"], message: string) {
    super(message);
    this.code = code;
  }
}
