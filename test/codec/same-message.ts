/**
 * Whether two messages are equal in everything that is their own: names, values, and what their
 * prototypes have as defaults. The prototypes of two makers are not the same objects.
 */
export function sameMessage(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null)
    return false;
  if (one instanceof Uint8Array || other instanceof Uint8Array) {
    return (
      one instanceof Uint8Array && other instanceof Uint8Array && Buffer.compare(one, other) === 0
    );
  }
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const names = Object.keys(one);
  if (names.length !== Object.keys(other).length) return false;
  const [a, b] = [one as Record<string, unknown>, other as Record<string, unknown>];
  if (!names.every((name) => Object.hasOwn(b, name) && sameMessage(a[name], b[name]))) return false;
  const [prototype, otherPrototype] = [Object.getPrototypeOf(one), Object.getPrototypeOf(other)];
  if (prototype === otherPrototype) return true;
  return sameMessage({ ...prototype }, { ...otherPrototype });
}
