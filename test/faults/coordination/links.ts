import { startProgram } from "../../support/argument-program.ts";
import { FaultProxy } from "../../support/proxy.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import type { LinkFigures } from "./link-opener.ts";
import { type StartCoordinationServer, through } from "./server.ts";

const openerFile = new URL("link-opener.ts", import.meta.url).href;

/**
 * Syncs are opened and closed, and the links of others cut while they hold locks and wait for them.
 * @param isLeaky leaves one open, to prove that this is noticed.
 */
export async function linksLost(
  startServer: StartCoordinationServer,
  length: Length,
  isLeaky = false,
): Promise<Figure> {
  const sizes = { short: 300, long: 10_000 } as const;
  const count = isLeaky ? 20 : sizes[length];
  await using server = await startServer();
  await using proxy = await FaultProxy.start(server.port);
  const { url } = server;
  const cutUrl = through(server, proxy.port);
  const opener = await startProgram(openerFile, { url, cutUrl, count, isLeaky });
  try {
    const isDone = () => opener.lines.some((line) => line.startsWith("{"));
    // It says when its links are to be cut.
    let seen = 0;
    while (!isDone()) {
      const asked = await until(() => opener.lines.length > seen, 120_000, 5);
      if (asked === Number.POSITIVE_INFINITY) throw new Error("the program is stuck");
      seen = opener.lines.length;
      if (!isDone()) proxy.cut();
    }
    const { opened, left, uncaught } = JSON.parse(opener.lines.at(-1) ?? "") as LinkFigures;
    const ended = until(() => isOver, 5_000);
    let isOver = false;
    void opener.ended.then(() => {
      isOver = true;
    });
    const endedAfter = await ended;
    return {
      id: "K2",
      recipe: `${count} syncs opened and closed, ${proxy.cuts} connections cut under locks and those who wait for them`,
      found: `${opened} opened, ${left} left, ${uncaught} uncaught; the program ended ${Number.isFinite(endedAfter) ? "by itself" : "not"}`,
      bound: `${count}, 0, 0; at least ${count} cut; by itself`,
      holds:
        opened === count &&
        left + uncaught === 0 &&
        proxy.cuts >= count &&
        Number.isFinite(endedAfter),
    };
  } finally {
    await opener.kill();
  }
}
