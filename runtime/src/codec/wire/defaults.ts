/** The value of a `bytes` field that nobody set. There is nothing in it to change, so one is enough. */
export const noBytes: Uint8Array<ArrayBuffer> = /*@__PURE__*/ new Uint8Array(0);

/**
 * Makes the constructor of messages whose fields can be told apart from their defaults: the defaults stand on
 * the prototype, and a field is set when the message has it as its own.
 */
export function withDefaults<M>(
  initialize: (this: { -readonly [P in keyof M]: M[P] }) => void,
  defaults: Partial<M>,
): new () => M {
  initialize.prototype = defaults;
  return initialize as unknown as new () => M;
}

/** Whether a message has a field itself, and not by a default on its prototype. */
export function isOwn(message: object, field: string): boolean {
  return Object.hasOwn(message, field);
}

/** Sets an entry of a map. A key may be `__proto__`, which a plain assignment would take as something else. */
export function setEntry<V>(
  map: { [key: string]: V } | { [key: number]: V },
  key: unknown,
  value: V,
): void {
  const name = String(key);
  if (name !== "__proto__") (map as { [key: string]: V })[name] = value;
  else {
    const attributes = { writable: true, enumerable: true, configurable: true };
    Object.defineProperty(map, name, { value, ...attributes });
  }
}
