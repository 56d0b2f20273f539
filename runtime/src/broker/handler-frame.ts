import type { Awaitable } from "../call/call.ts";
import type { EventHandler } from "./broker.ts";
import type { DeliveredEvent } from "./event.ts";

/** Receives the outcome of an attempt. */
export interface HandlingEnd<H> {
  handled(handling: H): void;
  failed(handling: H, error: unknown): void;
}

/** Maximum number of stack frames searched. */
const searchedFrames = 200;
let frames = 0;

/**
 * Runs a subscription's handler in a function with a unique name, so that code can tell from its
 * stack whether it runs inside that handler, even after an `await`. V8 keeps the chain of awaiting
 * functions in its stacks. An AsyncLocalStorage would also work, but slows down every promise of
 * the process on Node 20.
 */
export class HandlerFrame<H> {
  readonly #name: string;
  /** Calls the handler. The end is reported before it returns if the handler returns no promise. */
  readonly run: (handling: H, event: DeliveredEvent) => void;

  constructor(topic: string, handler: EventHandler, end: HandlingEnd<H>) {
    const name = `micro-es handler ${++frames} of ${topic}`;
    this.#name = name;
    const awaiting = {
      async [name](handling: H, result: PromiseLike<void>): Promise<void> {
        try {
          await result;
        } catch (error) {
          end.failed(handling, error);
          return;
        }
        end.handled(handling);
      },
    }[name] as (handling: H, result: PromiseLike<void>) => Promise<void>;
    const calling = {
      [name](handling: H, event: DeliveredEvent): void {
        let result: Awaitable<void>;
        let isPending: boolean;
        try {
          result = handler(event);
          isPending = isThenable(result);
        } catch (error) {
          end.failed(handling, error);
          return;
        }
        if (isPending) void awaiting(handling, result as PromiseLike<void>);
        else end.handled(handling);
      },
    };
    this.run = calling[name] as typeof this.run;
  }

  /**
   * Whether the caller runs inside the handler. Code that the handler started without awaiting may
   * not be detected.
   */
  get isOnStack(): boolean {
    const { stackTraceLimit, prepareStackTrace } = Error;
    const captured: { stack?: unknown } = {};
    try {
      Error.stackTraceLimit = searchedFrames;
      Error.prepareStackTrace = (_error, sites) =>
        sites.some((site) => site.getFunctionName() === this.#name);
      Error.captureStackTrace(captured);
      return captured.stack === true;
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
      if (prepareStackTrace === undefined) Reflect.deleteProperty(Error, "prepareStackTrace");
      else Error.prepareStackTrace = prepareStackTrace;
    }
  }
}

/** Whether `await` would wait for it. Throws what the getter of its `then` throws. */
function isThenable(result: unknown): boolean {
  if (result instanceof Promise) return true;
  const kind = typeof result;
  if ((kind !== "object" && kind !== "function") || result === null) return false;
  return typeof (result as Partial<PromiseLike<void>>).then === "function";
}
