import { MicroError, type Store } from "@micro-es/runtime";
import { natsStore } from "@micro-es/runtime/store/nats";
import { startNats } from "../../nats/server.ts";
import type { Figure, Length } from "../figure.ts";

/** Stores of several connections increment one counter by compare-and-set. */
export async function racingIncrements(length: Length): Promise<Figure> {
  const [writers, each] = length === "long" ? [8, 20_000] : [4, 150];
  const server = await startNats();
  const stores = Array.from({ length: writers }, () => natsStore({ servers: server.url }));
  let unsure = 0;
  try {
    const work = stores.map(async (store) => {
      for (let turn = 0; turn < each; turn++) unsure += await increment(store);
    });
    await Promise.all(work);
    const last = await stores[0]?.read("counter");
    const counted = Number(new TextDecoder().decode(last?.value));
    const wanted = writers * each;
    return {
      id: "T4",
      recipe: `${writers} stores, ${each} increments each by compare-and-set`,
      found: `${counted} of ${wanted} counted, ${unsure} of unknown outcome`,
      bound: `exactly ${wanted}, as far as no outcome is unknown`,
      holds: counted === wanted - unsure,
    };
  } finally {
    for (const store of stores) await store.close();
    await server.close();
  }
}

/** 0 when it has happened for certain, 1 when that is not known. */
async function increment(store: Store): Promise<number> {
  for (;;) {
    const record = await store.read("counter");
    const next = String(Number(new TextDecoder().decode(record?.value)) + 1);
    try {
      const ifVersion = record?.version ?? 0n;
      await store.write("counter", new TextEncoder().encode(next), { ifVersion });
      return 0;
    } catch (error) {
      if (!(error instanceof MicroError) || error.outcome !== "not-executed") return 1;
    }
  }
}
