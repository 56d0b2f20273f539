import type { Buffer } from "node:buffer";
import type { LeaseRecord } from "@micro-es/runtime/driver";
import type { Row } from "../link/session.ts";

/** A lease as it is stored. */
export interface PostgresLease extends LeaseRecord {
  readonly key: string;
}

/** The columns of a lease, for {@link leaseOf}; times are in milliseconds since 1970. */
export const leaseColumns = "key, revision, value, extract(epoch from at) * 1000 as at";

export function leaseOf({ key, revision, value, at }: Row): PostgresLease {
  return {
    key: (key as Buffer).toString(),
    revision: BigInt(revision as string),
    value: value as Buffer,
    writtenAt: Number(at),
  };
}
