import type { ContractCase } from "./contract.ts";
import { unaryContract } from "./transport-calls.ts";
import type { TransportUnderTest } from "./transport-fixture.ts";
import { lifecycleContract } from "./transport-lifecycle.ts";
import { streamContract } from "./transport-streams.ts";

export type { TransportUnderTest } from "./transport-fixture.ts";

/** The behaviour of every transport. */
export function transportContract(under: TransportUnderTest): readonly ContractCase[] {
  return [...unaryContract(under), ...streamContract(under), ...lifecycleContract(under)];
}
