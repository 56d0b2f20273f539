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
