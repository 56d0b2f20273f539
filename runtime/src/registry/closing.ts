import { setMaxListeners } from "node:events";

/** The controller that a registry aborts when it is closed, listened to by every watch and wait it has. */
export function closingController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
