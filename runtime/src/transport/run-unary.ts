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
    const response = dispatcher.unary(call, request);
    if (response instanceof Promise) {
      response.then(
        (message) => receiver.responded(message),
        (reason) => receiver.failed(reason),
      );
    } else {
      receiver.responded(response);
    }
  } catch (reason) {
    receiver.failed(reason);
  }
}
