import type { Flaw } from "../coordination/server.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import type { Member, StartCluster } from "./cluster.ts";
import { useCluster } from "./use.ts";

const worksWithinMs = 20_000;

/**
 * The leader of three servers is killed, and started when another one leads, while all parts are in
 * use.
 * @param flaw changes the syncs, to prove that this is noticed; no leader is killed then.
 */
export async function leadersLost(
  startCluster: StartCluster,
  length: Length,
  flaw?: Flaw,
): Promise<Figure> {
  const kills = flaw !== undefined ? 0 : length === "long" ? 20 : 2;
  await using cluster = await startCluster();
  const leaderBut = async (last?: Member): Promise<Member> => {
    let found: Member | undefined;
    await until(
      async () => {
        found = await cluster.leader();
        return found !== undefined && found !== last;
      },
      60_000,
      50,
    );
    if (found === undefined || found === last) throw new Error("no other leader for a minute");
    return found;
  };
  const killLeaders = async () => {
    for (let kill = 0; kill < kills; kill++) {
      const leader = await leaderBut();
      await leader.stop();
      await leaderBut(leader);
      await leader.start();
    }
  };
  const used = await useCluster(cluster, killLeaders, flaw);
  return {
    id: "C1",
    recipe: `the leader of three servers killed ${kills} times, ${used.writes} writes and ${used.terms} terms of a lock and of leaders meanwhile`,
    found: `${used.failures} attempts failed, ${used.unknown} writes reported as unknown, ${used.contradicted} as not executed that happened, ${used.missing} as done that did not; ${used.wrongTerms} terms overlap or have a token that does not grow; ${used.nodesLost} nodes lost; ${used.valuesBack} of ${used.values} values of the configuration back in time; all parts worked ${Math.round(used.workedAfterMs)} ms after the last`,
    bound: `more than 0 (the kills take effect), any, 0, 0; 0; 0; 0; at most ${worksWithinMs} ms`,
    holds:
      used.failures > 0 &&
      used.contradicted + used.missing + used.wrongTerms + used.nodesLost + used.valuesBack === 0 &&
      used.workedAfterMs <= worksWithinMs,
  };
}
