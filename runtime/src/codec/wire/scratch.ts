/**
 * Eight bytes in which numbers change their form. Both directions are synchronous and leave nothing here, so
 * one is enough; the view gives the wire's byte order on every machine.
 */
export const scratchBytes: Uint8Array = /*@__PURE__*/ new Uint8Array(8);
export const scratch: DataView = /*@__PURE__*/ new DataView(scratchBytes.buffer);
