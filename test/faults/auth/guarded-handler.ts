import type { GuardedServiceHandler } from "../../gen/micro/test/v1/guarded_micro.ts";

/**
 * A handler of the guarded service. Its stream `read` stays open until its caller loses it.
 *
 * @param onCall called for each unary call that was admitted
 */
export function guardedHandler(onCall: () => void = () => undefined): GuardedServiceHandler {
  return {
    about() {
      onCall();
      return { text: "documents" };
    },
    async *read(_request, { signal }) {
      yield { line: "first" };
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    },
    async write() {
      return {};
    },
    async *edit() {},
    delete() {
      onCall();
      return {};
    },
    onDocumentChanged() {},
  };
}
