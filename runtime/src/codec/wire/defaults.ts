/** The value of an unset `bytes` field. It is empty and cannot be changed, so all share one. */
export const noBytes: Uint8Array<ArrayBuffer> = /*@__PURE__*/ new Uint8Array(0);

/**
 * Creates the constructor of messages that tell set fields from defaults: the defaults are on the
 * prototype, and a set field is an own property of the message.
 */
export function withDefaults<M>(
  initialize: (this: { -readonly [P in keyof M]: M[P] }) => void,
  defaults: Partial<M>,
): new () => M {
  initialize.prototype = defaults;
  return initialize as unknown as new () => M;
}

/** Whether a field is set on the message itself, and not a default on its prototype. */
export function isOwn(message: object, field: string): boolean {
  return Object.hasOwn(message, field);
}
