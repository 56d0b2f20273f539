const p = 2n ** 255n - 19n;
/** The constant of the curve -x² + y² = 1 + dx²y². */
const d =
  37_095_705_934_669_439_343_138_083_508_754_565_189_542_113_879_843_219_016_388_785_533_085_940_283_555n;

/**
 * The y coordinates of the points whose order is 8 or less. With one of them as a public key,
 * anyone can sign.
 */
const smallOrder: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  p - 1n,
  // Those of order 8: doubling one gives y = 0, so dy⁴ + 2y² - 1 = 0.
  2_707_385_501_144_840_649_318_225_287_225_658_788_936_804_267_575_313_519_463_743_609_750_303_402_022n,
  55_188_659_117_513_257_062_467_267_217_118_295_137_698_188_065_244_968_500_265_048_394_206_261_417_927n,
]);

/**
 * Why 32 bytes are not a public key of Ed25519; undefined if they are. The cryptographic libraries
 * notice only when they verify a signature, or not at all.
 */
export function ed25519PointProblem(bytes: Uint8Array): string | undefined {
  if (bytes.length !== 32) return "it does not have 32 bytes";
  const encoded = BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
  const y = encoded & (2n ** 255n - 1n);
  if (y >= p) return "it is not canonical";
  if (smallOrder.has(y)) return "it is a point of small order";
  // x² = (y² - 1) / (dy² + 1) must have a root.
  const square = mod(y * y);
  const x2 = mod((square - 1n) * power(mod(d * square + 1n), p - 2n));
  return power(x2, (p - 1n) / 2n) === 1n ? undefined : "it is not a point of the curve";
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let factor = mod(base);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = mod(result * factor);
    factor = mod(factor * factor);
  }
  return result;
}

function mod(value: bigint): bigint {
  const rest = value % p;
  return rest < 0n ? rest + p : rest;
}
