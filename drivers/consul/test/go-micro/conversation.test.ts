import { inflateSync } from "node:zlib";
import { consulRegistry } from "@micro-es/consul";
import type { RegistryEvent } from "@micro-es/runtime";
import { nodesOf, type RecordedFleet, recordedFleets } from "@micro-es/test-support/recorded-fleet";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ConsulServer, skipWithoutConsul, startConsul } from "../server.ts";

/** A conversation of a fleet with go-micro on Consul: see README.md. */
interface Recorded extends RecordedFleet {
  readonly requests: { readonly go: readonly Request[]; readonly ours: readonly Request[] };
}

interface Request {
  readonly method: string;
  readonly path: string;
  readonly body: Service | null;
}

interface Service {
  readonly ID: string;
  readonly Name: string;
  readonly Address: string;
  readonly Port: number;
  readonly Tags: readonly string[];
  readonly Meta: Readonly<Record<string, string>>;
}

/** For a busy machine. */
const patience = { timeout: 10_000 };

const conversations = recordedFleets<Recorded>(new URL("recorded.json", import.meta.url));

/** The text of each tag: how well it is compressed depends on the version of zlib. */
function textsOf(tags: readonly string[]): readonly string[] {
  return tags.map((tag) => {
    expect(tag).toMatch(/^[tev]-(?:[\da-f]{2})+$/);
    return `${tag[0]} ${inflateSync(Buffer.from(tag.slice(2), "hex"))}`;
  });
}

describe.skipIf(skipWithoutConsul).each(conversations)(
  "a fleet with go-micro's $protocol",
  ({ go, ours, requests }) => {
    let server: ConsulServer;
    beforeAll(async () => {
      server = await startConsul();
    });
    afterAll(() => server?.close());

    async function send({ method, path, body }: Request): Promise<void> {
      const json = body === null ? {} : { body: JSON.stringify(body) };
      const response = await fetch(new URL(path, server.url), { method, ...json });
      expect(response.status, await response.text()).toBe(200);
    }

    test("sees Go's service come and leave, as Go registered it", async () => {
      const { service } = ours.found[0]!;
      const [registered, passed, deregistered, ...rest] = requests.go;
      expect(rest).toEqual([]);
      await using registry = consulRegistry({ address: server.url });
      const watched: RegistryEvent[] = [];
      const watching = (async () => {
        for await (const event of registry.watch(service)) watched.push(event);
      })();
      await expect.poll(() => watched.length, patience).toBe(1);
      await send(registered!);
      await send(passed!);
      await expect.poll(() => registry.get(service), patience).toEqual(ours.found);
      expect(ours.found).toMatchObject(nodesOf(go.own));
      await send(deregistered!);
      await expect.poll(() => watched.length, patience).toBe(ours.watched.length);
      expect(watched).toEqual(ours.watched);
      expect(await registry.get(service)).toEqual([]);
      await registry.close();
      await watching;
    });

    test("registers what Go read, and deregisters it", async () => {
      const { node } = ours;
      const own = requests.ours.filter(
        ({ path, body }) => body?.ID === node.id || path.endsWith(`/${node.id}`),
      );
      const [registered, ...others] = own;
      expect(others).toMatchObject([{ path: `/v1/agent/service/deregister/${node.id}` }]);
      const recorded = registered!.body!;
      await using registry = consulRegistry({ address: server.url });
      const registration = await registry.register(node);
      const written = async () => {
        const response = await fetch(`${server.url}/v1/agent/service/${node.id}`);
        return response.ok ? ((await response.json()) as Record<string, unknown>) : undefined;
      };
      const { ID, Service: Name, Address, Port, Tags, Meta } = (await written())!;
      expect({ ID, Name, Address, Port }).toEqual({
        ID: recorded.ID,
        Name: recorded.Name,
        Address: recorded.Address,
        Port: recorded.Port,
      });
      expect(textsOf(Tags as string[])).toEqual(textsOf(recorded.Tags));
      const meta = Meta as Record<string, string>;
      expect({ ...meta, micro_owner: "" }).toEqual({ ...recorded.Meta, micro_owner: "" });
      // What Go made of it.
      expect(nodesOf(go.found)).toMatchObject([node]);
      expect(go.watched.map(({ Action }) => Action)).toEqual(["create", "delete"]);
      await registration.close();
      expect(await written()).toBeUndefined();
    });
  },
);
