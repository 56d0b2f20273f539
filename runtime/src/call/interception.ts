import { MicroError } from "../base/error.ts";

/**
 * Runs a function interceptor around one unary call or one event. The result is that of `next`; a
 * failure of `next` remains a failure unless the interceptor throws another error.
 *
 * @param what names the call or event, for messages.
 */
export async function around<T>(
  what: string,
  interceptor: (next: () => Promise<void>) => unknown,
  next: () => Promise<T>,
): Promise<T> {
  let result: Promise<T> | undefined;
  await interceptor(() => {
    result ??= start(next);
    const ended = result.then(ignore);
    // An interceptor may ignore this promise; the failure is passed on below regardless.
    ended.catch(ignore);
    return ended;
  });
  if (result === undefined) throw nextNotCalled(what);
  return result;
}

/**
 * As {@link around}, for a stream: `next` begins the stream, and its promise settles when the
 * stream has ended.
 */
export async function* aroundStream<T>(
  what: string,
  interceptor: (next: () => Promise<void>) => unknown,
  next: () => AsyncIterable<T>,
): AsyncGenerator<T, void, undefined> {
  let begin: () => void = ignore;
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  let end: (failure?: unknown) => void = ignore;
  let calledNext = false;
  const ended = new Promise<void>((resolve, reject) => {
    end = (failure) => (failure === undefined ? resolve() : reject(failure));
  });
  ended.catch(ignore);
  const finished = run(() =>
    interceptor(() => {
      calledNext = true;
      begin();
      return ended;
    }),
  );
  finished.catch(ignore);
  await Promise.race([begun, finished]);
  if (!calledNext) throw nextNotCalled(what);
  let left = true;
  try {
    yield* next();
    left = false;
  } catch (reason) {
    left = false;
    end(reason ?? new MicroError("unknown", `${what} failed without a reason`));
    await finished;
    throw reason;
  } finally {
    if (left) {
      end(new MicroError("canceled", `the reader of ${what} left before the stream ended`));
      await finished.catch(ignore);
    }
  }
  end();
  await finished;
}

async function start<T>(next: () => Promise<T>): Promise<T> {
  return next();
}

async function run(interceptor: () => unknown): Promise<void> {
  await interceptor();
}

function ignore(): void {}

function nextNotCalled(what: string): MicroError {
  return new MicroError(
    "internal",
    `an interceptor of ${what} returned without calling next; call it, or throw a MicroError to refuse`,
  );
}

/**
 * Checks the interceptors of a client or server: one that lacks a function would let calls through
 * that it is meant to see.
 *
 * @param where names the option, for messages.
 * @throws MicroError `invalid_argument`.
 */
export function checkInterceptors(
  where: string,
  interceptors: unknown,
  functions: readonly string[],
): void {
  if (!Array.isArray(interceptors)) {
    throw invalid(`${where} must be a list of interceptors; got ${kindOf(interceptors)}`);
  }
  for (const [index, interceptor] of interceptors.entries()) {
    if (typeof interceptor === "function") continue;
    const which = `${where}[${index}]`;
    if (typeof interceptor !== "object" || interceptor === null) {
      throw invalid(`${which} must be a function or an object; got ${kindOf(interceptor)}`);
    }
    const lacks = functions.filter(
      (name) => typeof (interceptor as Record<string, unknown>)[name] !== "function",
    );
    if (lacks.length === 0) continue;
    throw invalid(
      `${which} has no function ${lacks.join(" and no function ")}, so that it would not see all it is meant to; ` +
        `add ${lacks.length === 1 ? "it" : "them"} (to pass on: (context, messages, next) => next(messages)), ` +
        "or make the interceptor one function (context, next) for all kinds",
    );
  }
}

function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "a list" : typeof value;
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
