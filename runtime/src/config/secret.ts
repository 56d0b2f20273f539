const hidden = "[secret]";

/**
 * A value that must not be shown. Printing, logging, inspecting or serializing it shows `[secret]`; only
 * {@link Secret.reveal} gives the value.
 */
export class Secret<T = string> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** The value itself, for the one place that needs it. */
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

// What console.log and util.inspect call.
Object.defineProperty(Secret.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value: () => hidden,
});
