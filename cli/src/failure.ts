import { codeToNumber, isCode } from "@micro-es/runtime/codes";
import { UsageError } from "./errors.ts";

/** An error, as it is shown. */
export interface Failure {
  /** The gRPC code of a call or a backend; absent for other errors. */
  readonly code?: string;
  readonly message: string;
  readonly outcome?: string;
  /** What the user can do. */
  readonly advice?: string;
  readonly exitCode: number;
}

/** Exit code of a failed call: 64 plus the number of its code, like grpcurl. */
export function exitCodeOf(code: string): number {
  return 64 + (isCode(code) ? codeToNumber(code) : codeToNumber("unknown"));
}

/** Describes a thrown value. An unexpected error shows its stack: it is a bug of this program. */
export function describeFailure(reason: unknown): Failure {
  if (reason instanceof UsageError) return { message: reason.message, exitCode: 2 };
  // An invalid line in the middle of a stream ends the call; the line is the cause.
  const wrongLine = usageErrorBehind(reason);
  if (wrongLine !== undefined) return describeFailure(wrongLine);
  if (isCoded(reason)) {
    return {
      code: reason.code,
      message: withRemedy(reason),
      ...(reason.outcome === undefined ? {} : { outcome: reason.outcome }),
      exitCode: exitCodeOf(reason.code),
    };
  }
  const missing = missingPackage(reason);
  if (missing !== undefined) {
    return { message: `this needs the package ${missing}: npm i ${missing}`, exitCode: 2 };
  }
  if (reason instanceof Error) {
    return { message: reason.stack ?? reason.message, exitCode: 1 };
  }
  return { message: String(reason), exitCode: 1 };
}

/** What a server says to a caller without a credential says nothing of how to present one. */
function withRemedy({ code, message }: Coded): string {
  if (code !== "unauthenticated" || !message.endsWith("the call needs a valid credential")) {
    return message;
  }
  return `${message}; pass --token-file, set MICRO_TOKEN, or run \`micro auth dev\` in the project of the service`;
}

/**
 * A package that a part of the runtime needs but does not install, such as the client of a backend.
 */
function missingPackage(reason: unknown): string | undefined {
  if (!(reason instanceof Error) || !("code" in reason)) return undefined;
  if (reason.code !== "ERR_MODULE_NOT_FOUND") return undefined;
  return /^Cannot find package '([^']+)'/.exec(reason.message)?.[1];
}

function usageErrorBehind(reason: unknown): UsageError | undefined {
  for (let cause = reason; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof UsageError) return cause;
  }
  return undefined;
}

interface Coded {
  readonly code: string;
  readonly message: string;
  readonly outcome?: string;
}

function isCoded(reason: unknown): reason is Coded {
  return reason instanceof Error && "code" in reason && isCode(reason.code);
}
