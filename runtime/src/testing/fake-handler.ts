import { MicroError } from "../base/error.ts";

/**
 * A handler for the rpcs that a test needs, replacing a service that is not part of the test. An
 * rpc without a method fails with `unimplemented`; a subscriber without a method ignores its
 * events.
 *
 * @example
 * ```ts
 * import { createTestService, fakeHandler } from "@micro-es/runtime/testing";
 * import { registerStockHandler, type StockHandler } from "./gen/shop/v1/shop_micro.js";
 *
 * await using test = await createTestService(() => undefined);
 * const stock = fakeHandler<StockHandler>({ reserve: ({ orderId }) => ({ orderId }) });
 * await test.fake((server) => registerStockHandler(server, stock));
 * ```
 */
export function fakeHandler<Handler extends object>(methods: Partial<Handler>): Handler {
  return new Proxy(methods, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      // Bound, because an object's private fields cannot be read through a proxy.
      if (typeof method === "function") return method.bind(target);
      if (method !== undefined || typeof name === "symbol") return method;
      return (_request: unknown, context: unknown) => {
        if (isEvent(context)) return;
        throw new MicroError("unimplemented", `the fake handler has no method ${name}`);
      };
    },
    has: (target, name) => typeof name === "string" || Reflect.has(target, name),
  }) as Handler;
}

/** Whether a handler's context is that of an event instead of a call. */
function isEvent(context: unknown): boolean {
  return typeof context === "object" && context !== null && "topic" in context;
}
