import { cpus } from "node:os";
import { type FaultSuite, type Figure, failedFigure, type Length, printFigures } from "./figure.ts";

/**
 * `npm run faults -- NAME [--long] [B1 D5 …]`: injects the faults of reliability goals into servers
 * or a backend in use, judges the ledgers, and prints the results. Status 1 when a bound does not
 * hold.
 */
const backends: Readonly<Record<string, () => Promise<{ readonly suite: FaultSuite }>>> = {
  auth: () => import("./auth/suite.ts"),
  consul: () => import("./consul/suite.ts"),
  dns: () => import("./dns/suite.ts"),
  etcd: () => import("./etcd/suite.ts"),
  gossip: () => import("./gossip/suite.ts"),
  http: () => import("./http/suite.ts"),
  kafka: () => import("./kafka/suite.ts"),
  nats: () => import("./nats/suite.ts"),
  nsq: () => import("./nsq/suite.ts"),
  postgres: () => import("./postgres/suite.ts"),
  pubsub: () => import("./pubsub/suite.ts"),
  rabbitmq: () => import("./rabbitmq/suite.ts"),
  redis: () => import("./redis/suite.ts"),
  zookeeper: () => import("./zookeeper/suite.ts"),
};
const words = process.argv.slice(2);
const length: Length = words.includes("--long") ? "long" : "short";
const [backend = "", ...only] = words.filter((word) => !word.startsWith("--"));
const load = Object.hasOwn(backends, backend) ? backends[backend] : undefined;
if (load === undefined) {
  console.error(
    `npm run faults -- <backend> [--long] [ids]; there are: ${Object.keys(backends).join(", ")}`,
  );
  process.exit(2);
}
const { suite } = await load();
const unknown = only.filter((id) => !Object.hasOwn(suite.scenarios, id));
if (unknown.length > 0) {
  const ids = Object.keys(suite.scenarios).join(", ");
  console.error(`there is no scenario ${unknown.join(", ")} for ${backend}; there are: ${ids}`);
  process.exit(2);
}

// Started servers and programs end with `exit`, which a signal alone does not cause.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

const figures = new Map<string, Figure>();
const { byHand = [] } = suite;
const chosen = Object.keys(suite.scenarios).filter((id) =>
  only.length === 0 ? length === "long" || !byHand.includes(id) : only.includes(id),
);
const groups = groupsOf(suite);
const others = Object.keys(suite.scenarios).filter((id) => !groups.flat().includes(id));
const began = new Date();
await Promise.all(
  [...groups, others].map((ids) => runAll(ids.filter((id) => chosen.includes(id)))),
);
await suite.close?.();
const found = chosen.flatMap((id) => figures.get(id) ?? []);
const seconds = Math.round((Date.now() - began.getTime()) / 1000);
console.log(
  `${suite.subject}, Node ${process.versions.node}, ${cpus().length} cores, ${length} forms, ${began.toISOString().slice(0, 10)}, ${seconds} s\n`,
);
printFigures(found);
process.exit(found.every(({ holds }) => holds) ? 0 : 1);

function groupsOf({ waiting = [] }: FaultSuite): readonly (readonly string[])[] {
  const alone = waiting.filter((each): each is string => typeof each === "string");
  return [alone, ...waiting.filter((each) => typeof each !== "string")];
}

async function runAll(ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const start = performance.now();
    const figure = await suite.scenarios[id]?.(length).catch((error) => failedFigure(id, error));
    if (figure !== undefined) figures.set(id, figure);
    const verdict = figure?.holds === true ? "holds" : `BROKEN: ${figure?.found}`;
    console.error(`${id}: ${verdict}, ${((performance.now() - start) / 1000).toFixed(1)} s`);
    // Long forms take up to an hour together; stopping them must not lose the figures until then.
    if (length === "long" && figure?.holds === true) printFigures([figure]);
  }
}
