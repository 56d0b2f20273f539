import type { ServerCall } from "../call/call.ts";
import type { Dispatcher, UnaryReceiver } from "./transport.ts";

/** Passes a unary call to the dispatcher, and its outcome to the receiver. */
export function runUnary(
  dispatcher: Dispatcher,
  call: ServerCall,
  request: unknown,
  receiver: UnaryReceiver,
): void {
  if (dispatcher.startUnary !== undefined) {
    dispatcher.startUnary(call, request, receiver);
    return;
  }
  try {
    const answer = dispatcher.unary(call, request);
    if (answer instanceof Promise) {
      answer.then(
        (message) => receiver.answered(message),
        (reason) => receiver.failed(reason),
      );
    } else {
      receiver.answered(answer);
    }
  } catch (reason) {
    receiver.failed(reason);
  }
}
