/**
 * Records what a go-micro program and ours write into a registry, and what each reads of the
 * other's: `GO_MICRO_PEER=program npm run interop -- go-micro-records etcd consul`, or `zookeeper`.
 * Both find and call each other, and see each other leave. The results are `recorded.json` in the
 * folders `go-micro` of the drivers' tests, which replay them.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { consulRegistry } from "@micro-es/consul";
import { etcdRegistry } from "@micro-es/etcd";
import {
  createClient,
  createServer,
  goMicroTransport,
  httpTransport,
  memoryBroker,
  type Node,
  type Registry,
  type RegistryEvent,
  silentLogger,
  tcpTransport,
} from "@micro-es/runtime";
import { zooKeeperRegistry } from "@micro-es/zookeeper";
import { startConsul } from "../../../drivers/consul/test/server.ts";
import { startEtcd } from "../../../drivers/etcd/test/server.ts";
import { startZooKeeper } from "../../../drivers/zookeeper/test/server.ts";
import {
  createEchoServiceClient,
  registerEchoServiceHandler,
} from "../../gen/micro/test/v1/echo_micro.ts";
import { echoHandler } from "../../support/echo.ts";
import { ours, theirs } from "./cases.ts";
import { GoMicroPeer, type GoService, type GoWatchResult, peerProgram } from "./peer.ts";
import { readZnodes } from "./read-znodes.ts";
import { recordEtcd } from "./record-etcd.ts";
import { recordRequests } from "./record-requests.ts";

/** What each side read of the other's records, and of its own. */
interface Conversation {
  readonly protocol: "mucp" | "grpc";
  readonly go: {
    /** What its registry returned of its own service, and of ours. */
    readonly own: readonly GoService[];
    readonly found: readonly GoService[];
    /** What its watcher of our service returned. */
    readonly watched: readonly GoWatchResult[];
    /** What its registry returned after ours had left. */
    readonly after: { readonly services: readonly GoService[]; readonly error: string | null };
  };
  readonly ours: {
    readonly node: Node;
    readonly found: readonly Node[];
    /** What our watcher of its service returned. */
    readonly watched: readonly RegistryEvent[];
  };
}

if (peerProgram === undefined) throw new Error("set GO_MICRO_PEER, as peer.ts describes");
const program = peerProgram;

/** How long either side may take to notice the other. */
const patienceMs = 20_000;

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const patience = performance.now() + patienceMs;
  while (!(await condition())) {
    assert.ok(performance.now() < patience, what);
    await sleep(50);
  }
}

/**
 * @param onMet called while both are registered
 * @param onZooKeeper whether Go's watcher is that of its ZooKeeper registry, which ends for a
 * service that has never been registered, and says of the last node that left only that something
 * happened
 */
async function converse(
  protocol: Conversation["protocol"],
  registryOf: () => Registry,
  goArgs: readonly string[],
  onMet: () => Promise<void> = async () => undefined,
  onZooKeeper = false,
): Promise<Conversation> {
  await using registry = registryOf();
  const watched: RegistryEvent[] = [];
  const watching = (async () => {
    for await (const event of registry.watch(theirs)) watched.push(event);
  })();
  await until(() => watched.length > 0, "our watcher does not begin");
  const peer = await GoMicroPeer.start(program, [
    ...["-name", theirs, "-protocol", protocol],
    ...goArgs,
  ]);
  const watch = () => peer.run({ do: "watch", service: ours });
  if (!onZooKeeper) await watch();
  const listen = [{ transport: tcpTransport(), address: "127.0.0.1:0" }];
  const server = createServer({
    name: ours,
    listen,
    registry,
    broker: memoryBroker(),
    logger: silentLogger,
  });
  registerEchoServiceHandler(server, { ...echoHandler(ours), onEchoed: () => undefined });
  await server.start();
  await using client = createClient({
    registry,
    transports: [tcpTransport(), httpTransport(), goMicroTransport()],
    logger: silentLogger,
  });
  const get = async (service: string) => (await peer.run({ do: "get", service })).services ?? [];
  await until(async () => (await get(ours)).length > 0, "Go does not find ours");
  if (onZooKeeper) await watch();
  await until(async () => (await registry.get(theirs)).length > 0, "ours does not find Go's");
  await until(() => peer.watched.length > 0, "Go's watcher does not see ours");
  const [own, found] = [await get(theirs), await get(ours)];
  const [node] = await registry.get(ours);
  const foundByOurs = await registry.get(theirs);

  const echoed = await createEchoServiceClient(client).echo({ text: "a" }, { service: theirs });
  assert.equal(echoed.server, theirs);
  const called = { service: ours, endpoint: "EchoService.Echo", request: { text: "b" } };
  const { answers, error } = await peer.run({ do: "unary", ...called });
  assert.deepEqual([answers?.[0]?.server, error], [ours, null]);

  await onMet();
  await server.close();
  const isLeaving = ({ Action, Service }: GoWatchResult) =>
    onZooKeeper ? Service === null : Action === "delete";
  await until(() => peer.watched.some(isLeaving), "Go's watcher does not see ours leave");
  await until(async () => (await get(ours)).length === 0, "Go still finds ours");
  const gone = await peer.run({ do: "get", service: ours });
  await peer.close();
  await until(() => watched.some(({ type }) => type === "removed"), "ours does not see Go's leave");
  assert.deepEqual(await registry.get(theirs), []);
  await registry.close();
  await watching;
  const after = { services: gone.services ?? [], error: gone.error?.text ?? null };
  return {
    protocol,
    go: { own, found, watched: peer.watched, after },
    ours: { node: node!, found: foundByOurs, watched },
  };
}

function write(driver: string, recorded: object): void {
  const file = new URL(`../../../drivers/${driver}/test/go-micro/recorded.json`, import.meta.url);
  writeFileSync(file, `${JSON.stringify(recorded, undefined, 2)}\n`);
}

const protocols = ["mucp", "grpc"] as const;
const wanted = process.argv.slice(2);
const isWanted = (driver: string) => wanted.includes(driver);

if (isWanted("etcd")) {
  await using etcd = await startEtcd();
  const recorded: object[] = [];
  for (const protocol of protocols) {
    const changes = await recordEtcd(etcd.url, "/micro/registry/");
    const args = ["-network", "etcd", "-registry", new URL(etcd.url).host];
    const conversation = await converse(
      protocol,
      () => etcdRegistry({ endpoints: etcd.url }),
      args,
    );
    recorded.push({ ...conversation, changes: await changes.end() });
  }
  write("etcd", recorded);
}
if (isWanted("consul")) {
  await using consul = await startConsul();
  const recorded: object[] = [];
  for (const protocol of protocols) {
    await using byGo = await recordRequests(consul.url);
    await using byOurs = await recordRequests(consul.url);
    const conversation = await converse(protocol, () => consulRegistry({ address: byOurs.url }), [
      "-network",
      "consul",
      "-registry",
      new URL(byGo.url).host,
    ]);
    recorded.push({ ...conversation, requests: { go: byGo.requests, ours: byOurs.requests } });
  }
  write("consul", recorded);
}
if (isWanted("zookeeper")) {
  await using zooKeeper = await startZooKeeper();
  const { address } = zooKeeper;
  const recorded: object[] = [];
  for (const protocol of protocols) {
    let znodes: object = [];
    const conversation = await converse(
      protocol,
      () => zooKeeperRegistry({ servers: address }),
      ["-network", "zookeeper", "-registry", address],
      async () => {
        znodes = await readZnodes(address, "/micro-registry");
      },
      true,
    );
    const left = await readZnodes(address, "/micro-registry");
    recorded.push({ ...conversation, znodes, left });
  }
  write("zookeeper", recorded);
}
