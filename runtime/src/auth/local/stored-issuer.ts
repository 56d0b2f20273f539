import type { Store } from "../../store/store.ts";
import { decodeRing, ringKey } from "./key-ring.ts";

/**
 * The issuer whose keys are in a store, as `localAuth` has written them; undefined if there are
 * none yet.
 *
 * @throws MicroError `data_loss` if the keys cannot be read; as the store.
 */
export async function storedIssuer(store: Store): Promise<string | undefined> {
  const record = await store.read(ringKey);
  return record === undefined ? undefined : decodeRing(record.value).issuer;
}
