/**
 * Whether variants that take long are run too, as `npm test -- --long` does. Without it a test
 * makes fewer rounds, or leaves out variants whose kind another test covers.
 */
export const long = process.env.MICRO_LONG === "true";
