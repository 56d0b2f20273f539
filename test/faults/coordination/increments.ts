import { setTimeout as sleep } from "node:timers/promises";
import { MicroError } from "@micro-es/runtime";
import type { Figure, Length } from "../figure.ts";
import { type Records, recordsAt, type StartStoreServer } from "./server.ts";

/** Stores of several connections increment one counter by compare-and-set. */
export async function racingIncrements(
  startServer: StartStoreServer,
  length: Length,
): Promise<Figure> {
  const [writers, each] = length === "long" ? [8, 20_000] : [4, 150];
  await using server = await startServer();
  const stores = Array.from({ length: writers }, () => recordsAt(server.url));
  const tries: Tries = { refused: 0, unsure: 0 };
  try {
    const work = stores.map(async (store) => {
      for (let turn = 0; turn < each; turn++) await increment(store, tries);
    });
    await Promise.all(work);
    const last = await stores[0]?.read("counter");
    const counted = Number(new TextDecoder().decode(last?.value));
    const wanted = writers * each;
    const { refused, unsure } = tries;
    return {
      id: "T4",
      recipe: `${writers} stores, ${each} increments each by compare-and-set`,
      found: `${counted} of ${wanted} counted, ${unsure} of unknown outcome, ${refused} attempts refused because another was faster`,
      bound: `exactly ${wanted}, as far as no outcome is unknown; more than 0 refused (the race takes effect)`,
      holds: counted >= wanted - unsure && counted <= wanted && refused > 0,
    };
  } finally {
    for (const store of stores) await store.close();
  }
}

/** Results of attempts to increment. */
interface Tries {
  /** Another process was faster. */
  refused: number;
  /** The outcome is unknown. */
  unsure: number;
}

/** Increments the counter once, or counts itself as unsure. */
async function increment(store: Records, tries: Tries): Promise<void> {
  for (;;) {
    const record = await store.read("counter");
    const next = String(Number(new TextDecoder().decode(record?.value)) + 1);
    try {
      const ifVersion = record?.version ?? 0n;
      await store.write("counter", new TextEncoder().encode(next), { ifVersion });
      return;
    } catch (error) {
      if (!(error instanceof MicroError) || error.outcome !== "not-executed") {
        tries.unsure++;
        return;
      }
      tries.refused++;
      // Retrying at once mostly gets in the way of the others.
      await sleep(20 * Math.random());
    }
  }
}
