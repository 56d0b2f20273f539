import { createClient } from "@micro-es/runtime";
import { echo } from "../../../support/echo.ts";
import { underLoad } from "../load.ts";

/**
 * Our client with its defaults: servers by name, native protocol, retries only of calls that
 * certainly did not run.
 */
const [perSecond] = process.argv.slice(2).map(Number);
const client = createClient();
await underLoad(perSecond ?? 1, () =>
  client.unary(echo.once, { text: "load", delayMs: 50 }, { timeoutMs: 60_000 }),
);
