/**
 * One behaviour that every implementation of an interface must have. Cases know no test runner: give each
 * to yours, as `for (const { name, run } of registryContract(create)) test(name, run)`.
 */
export interface ContractCase {
  /** The behaviour in words, as a sentence about the implementation. */
  readonly name: string;
  /** Rejects when the implementation behaves otherwise. */
  run(): Promise<void>;
}
