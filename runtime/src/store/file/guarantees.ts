import type { StoreGuarantees } from "../store.ts";

/** The guarantees of a file store with default options. */
export const fileStoreGuarantees: StoreGuarantees = {
  reads: "linearizable",
  durability: "power-loss",
  compareAndSet: true,
  fencing: true,
  watch: true,
  sharing: "process",
  maxKeyBytes: 64 * 1024,
  maxValueBytes: 16 * 1024 * 1024,
};
