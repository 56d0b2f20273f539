import { expect, onTestFinished, test, vi } from "vitest";
import { recordingLogger } from "../../../test/support/server.ts";
import { BackendStatus } from "../base/backend-state.ts";
import { asMicroError } from "../base/error.ts";
import { type RegistrationClaim, RenewedRegistration } from "./renewed-registration.ts";

const node = {
  id: "a",
  service: "shop",
  version: "1",
  address: "10.0.0.1:1",
  metadata: {},
  endpoints: [],
};

/** A backend of one record, whose requests end when a test says so. */
function plantedBackend() {
  const logger = recordingLogger();
  const requests: string[] = [];
  const waiting: (() => void)[] = [];
  const backend = { logger, requests, waiting, isSlow: false, isBroken: false, owner: "" };
  const link = {
    status: new BackendStatus(),
    connected: true,
    closed: false,
    open: async () => {},
    onReconnect: () => () => {},
    close: async () => {},
  };
  let closed = 0;

  class Planted extends RenewedRegistration {
    readonly #name: string;

    constructor(name: string, claim: RegistrationClaim) {
      super(link, claim);
      this.#name = name;
    }

    protected override async write(): Promise<void> {
      await this.#request("write");
      backend.owner = this.owner;
      this.renewed(performance.now());
    }

    protected override async renew(): Promise<void> {
      await this.#request("renew");
      if (backend.owner === this.owner) this.renewed(performance.now());
      else this.lose();
    }

    protected override async withdraw(): Promise<void> {
      await this.#request("withdraw");
    }

    async #request(what: string): Promise<void> {
      requests.push(`${this.#name} ${what}`);
      if (backend.isSlow) await new Promise<void>((resolve) => waiting.push(resolve));
      if (backend.isBroken) throw new Error("planted");
      requests.push(`${this.#name} ${what} done`);
    }
  }

  const register = (name: string, onTakenOver?: () => void, ttlMs = 60_000) =>
    new Planted(name, {
      node,
      ttlMs,
      logger,
      failure: (error) => asMicroError(error),
      onClose: () => void closed++,
      onTakenOver,
    });
  return { backend, link, register, closed: () => closed };
}

const nothing = Promise.resolve();

test("a registration that replaces another one writes once the other's requests are over", async () => {
  const { backend, register } = plantedBackend();
  backend.isSlow = true;
  const first = register("first");
  const begun = first.begin(nothing);
  await expect.poll(() => backend.waiting.length).toBe(1);
  const second = register("second");
  const replacing = second.begin(first.replaced());
  backend.waiting[0]?.();
  await begun;
  await expect.poll(() => backend.waiting.length).toBe(2);
  backend.waiting[1]?.();
  await replacing;
  expect(backend.requests).toEqual([
    "first write",
    "first write done",
    "second write",
    "second write done",
  ]);
  expect([first.active, second.active]).toEqual([false, true]);
});

test("a registration whose deregistration is in progress is replaced after it", async () => {
  const { backend, register, closed } = plantedBackend();
  const first = register("first");
  await first.begin(nothing);
  backend.isSlow = true;
  const closing = first.close();
  await expect.poll(() => backend.waiting.length).toBe(1);
  const second = register("second");
  const begun = second.begin(first.replaced());
  backend.isSlow = false;
  backend.waiting[0]?.();
  await Promise.all([closing, begun]);
  expect(backend.requests.slice(2)).toEqual([
    "first withdraw",
    "first withdraw done",
    "second write",
    "second write done",
  ]);
  expect(closed()).toBe(1);
});

test("a deregistration is repeated while the backend fails over", async () => {
  const { backend, link, register } = plantedBackend();
  const registration = register("it");
  await registration.begin(nothing);
  link.connected = false;
  const closing = registration.close();
  setTimeout(() => {
    link.connected = true;
  }, 300);
  await closing;
  expect(backend.requests.slice(2)).toEqual(["it withdraw", "it withdraw done"]);
  expect(backend.logger.lines).toEqual([]);
});

test("a close ends though the backend stays away, and the log names the node", async () => {
  const { backend, link, register } = plantedBackend();
  const registration = register("it");
  await registration.begin(nothing);
  link.connected = false;
  await registration.close();
  expect(backend.requests).toHaveLength(2);
  expect(backend.logger.lines).toMatchObject([
    { level: "warn", message: "could not deregister; the ttl will", fields: { node: "a" } },
  ]);
});

test("a close does not wait for a connection that was closed before", async () => {
  const { backend, link, register } = plantedBackend();
  const registration = register("it");
  await registration.begin(nothing);
  Object.assign(link, { connected: false, closed: true });
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  await registration.close();
  expect(backend.logger.lines).toMatchObject([
    { level: "warn", message: "could not deregister; the ttl will" },
  ]);
});

test("renewals that fail are repeated, and logged once", async () => {
  const { backend, register } = plantedBackend();
  await using registration = register("it", undefined, 30);
  await registration.begin(nothing);
  backend.isBroken = true;
  const renewals = () => backend.requests.filter((each) => each === "it renew").length;
  await expect.poll(renewals, { timeout: 10_000 }).toBeGreaterThan(2);
  expect(registration.active).toBe(false);
  backend.isBroken = false;
  await expect.poll(() => backend.logger.lines.length, { timeout: 10_000 }).toBe(2);
  expect(backend.logger.lines).toMatchObject([
    { level: "warn", message: "could not renew a registration; trying again" },
    { level: "info", message: "the registration is renewed again" },
  ]);
});

test("a registration whose id another process has is over, and says so once", async () => {
  const { backend, register } = plantedBackend();
  let taken = 0;
  await using registration = register("it", () => void taken++, 30);
  await registration.begin(nothing);
  backend.owner = "another";
  await expect.poll(() => taken, { timeout: 10_000 }).toBe(1);
  expect(registration.active).toBe(false);
  expect(backend.logger.lines.map(({ message }) => message)).toEqual([
    "another process has registered this node's id",
  ]);
});
