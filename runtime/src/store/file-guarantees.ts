import type { StoreGuarantees } from "./store.ts";

/** What a file store with the default options promises. */
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
