const hidden = "[secret]";

/**
 * A value that must not be shown. Printing, logging, inspecting or serializing it shows `[secret]`;
 * only {@link Secret.reveal} returns the value.
 *
 * @example
 * ```ts
 * import { Secret } from "@micro-es/runtime";
 *
 * const password = new Secret("hunter2");
 * `${password}`; // "[secret]"
 * ```
 */
export class Secret<T = string> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** Returns the value itself, for the one place that needs it. */
  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return hidden;
  }

  toJSON(): string {
    return hidden;
  }

  [Symbol.toPrimitive](): string {
    return hidden;
  }
}

// Called by console.log and util.inspect.
Object.defineProperty(Secret.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value: () => hidden,
});
