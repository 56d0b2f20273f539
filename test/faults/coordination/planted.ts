import { setTimeout as sleep } from "node:timers/promises";
import { asMicroError, type Lock, MicroError, type Sync } from "@micro-es/runtime";
import type { Scenario } from "../figure.ts";
import { noticed, replacing } from "../planted.ts";
import { linksLost } from "./links.ts";
import { holdersCutOff, holdersKilled, lateUnlocks } from "./lock-holders.ts";
import { syncAway } from "./locks.ts";
import { responsesLost } from "./outcomes.ts";
import type { Records, StartCoordinationServer } from "./server.ts";

type Id = `${"S2" | "S3" | "S5" | "S6" | "O1" | "K2"}-planted`;

/** Flaws of a sync, each of which the recipe of the same id has to notice. */
export function plantedScenarios(
  startServer: StartCoordinationServer,
): Readonly<Record<Id, Scenario>> {
  return {
    "S2-planted": () =>
      noticed(
        holdersCutOff(startServer, "short", untold),
        "holders are not told",
        /[1-9]\d* not notified/,
      ),
    "S3-planted": () =>
      noticed(
        holdersKilled(startServer, "short", unordered),
        "a line without order",
        /[1-9]\d* out of order/,
      ),
    "S5-planted": () =>
      noticed(
        lateUnlocks(startServer, "short", agreeable),
        "every unlock is said to succeed",
        /^0 refused/,
      ),
    "S6-planted": () =>
      noticed(
        syncAway(startServer, "short", untold),
        "the holder is not told",
        /after Infinity ms/,
      ),
    "O1-planted": () =>
      noticed(
        responsesLost(startServer, "short", certain),
        "unknown outcomes are reported as not executed",
        /[1-9]\d* reported as not executed that happened/,
      ),
    "K2-planted": () =>
      noticed(linksLost(startServer, "short", true), "a sync is not closed", /[1-9]\d* left/),
  };
}

/** Holders are never told that they lost their locks. */
function untold(sync: Sync): Sync {
  const { signal } = new AbortController();
  return withLocks(sync, (lock) => ({ ...lock, held: true, signal, unlock: () => lock.unlock() }));
}

/** Former holders believe that they released their locks. */
function agreeable(sync: Sync): Sync {
  return withLocks(sync, (lock) => {
    const unlock = async () => {
      await lock.unlock();
      return true;
    };
    return { ...lock, unlock };
  });
}

/** Callers take their places in the line at random. */
function unordered(sync: Sync): Sync {
  const lock: Sync["lock"] = async (id, options) => {
    await sleep(Math.random() * 100);
    return await sync.lock(id, options);
  };
  return replacing(sync, { lock });
}

/** Nothing is in doubt. */
function certain(records: Records): Records {
  const write: Records["write"] = (key, value, options) =>
    records.write(key, value, options).catch((reason: unknown) => {
      const { code, message } = asMicroError(reason);
      throw new MicroError(code, message, { outcome: "not-executed" });
    });
  return replacing(records, { write });
}

function withLocks(sync: Sync, change: (lock: Lock) => Lock): Sync {
  return replacing(sync, {
    lock: async (id, options) => change(await sync.lock(id, options)),
  });
}
