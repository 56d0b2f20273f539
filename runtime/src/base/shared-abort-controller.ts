import { setMaxListeners } from "node:events";

/** The controller that a registry aborts on close; all of its watches and waits listen to it. */
export function sharedAbortController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
