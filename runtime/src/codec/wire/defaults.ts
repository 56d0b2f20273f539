/** The value of an unset `bytes` field. It is empty and cannot be changed, so all share one. */
export const noBytes: Uint8Array<ArrayBuffer> = /*@__PURE__*/ new Uint8Array(0);

/**
 * Creates the constructor of messages that tell set fields from defaults: the defaults are on the
 * prototype, and a set field is an own property of the message.
 *
 * @param defaults properties of `M`. The type is wider, because no object literal is a `Partial<M>`
 * for TypeScript if `M` has an optional field with the name of a method of all objects.
 */
export function withDefaults<M>(
  initialize: (this: { -readonly [P in keyof M]: M[P] }) => void,
  defaults: object,
): new () => M {
  initialize.prototype = defaults;
  return initialize as unknown as new () => M;
}

/** Whether a field is set on the message itself, and not a default on its prototype. */
export function isOwn(message: object, field: string): boolean {
  return Object.hasOwn(message, field);
}
