/**
 * One behaviour that every implementation of an interface must have. Cases are independent of the
 * test runner: pass each to yours, as in
 * `for (const { name, run } of registryContract(create)) test(name, run)`.
 */
export interface ContractCase {
  /** The behaviour in words, as a sentence about the implementation. */
  readonly name: string;
  /** Rejects if the implementation behaves differently. */
  run(): Promise<void>;
}
