import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleOf } from "../../support/bundle.ts";
import type { Observation } from "../check-membership.ts";
import type { Order, Start } from "./member.ts";

const script = fileURLToPath(new URL("member.ts", import.meta.url));

/** A member in a network namespace of its own. */
export interface NetworkMember {
  readonly id: string;
  readonly host: string;
  /** The states of its registry, in order. */
  readonly states: readonly string[];
  /** Registers its node. Resolves once it is registered. */
  register(): Promise<void>;
  /** Ends the process without a goodbye. Returns when that was. */
  kill(): number;
  /** Stops the process for a time. */
  pause(ms: number): void;
  /** Blocks its event loop for a time. */
  block(ms: number): void;
  /** Registers its node again, with a label of this size. */
  grow(bytes: number): void;
  /** Replaces the keys in its key file, which it has if the network was started with those. */
  writeKeys(keys: readonly string[]): void;
  /** Adds a rule to the packets that it receives. */
  drop(...rule: readonly string[]): void;
  /** Removes all rules. */
  heal(): void;
}

/** How the members of a network are started. */
export interface NetworkOptions {
  /** Whether they run plain SWIM. */
  readonly withoutLifeguard?: boolean;
  /** Whether each has a file with the keys. */
  readonly keyFiles?: boolean;
  /** Whether they are left to be registered by the scenario. */
  readonly unregistered?: boolean;
}

type Line =
  | (Observation & { readonly bytes: number })
  | { readonly state: string }
  | { readonly ready: true }
  | { readonly registered: true };

let networks = 0;
const running = new Set<MemberNetwork>();

/** Members in network namespaces that a bridge connects; only root can make them. */
export class MemberNetwork implements AsyncDisposable {
  readonly observations: Observation[] = [];
  readonly members: NetworkMember[] = [];
  readonly #name = `mg${process.pid % 100_000}${String.fromCharCode(97 + networks)}`;
  readonly #subnet = `10.${77 + (process.pid % 100)}.${networks++}`;
  readonly #latest = new Map<string, Observation & { readonly bytes: number }>();
  readonly key: string = randomBytes(32).toString("base64");
  readonly #folder = mkdtempSync(join(tmpdir(), "micro-es-gossip-"));
  readonly #children: ChildProcess[] = [];
  #namespaces = 0;

  static {
    process.once("exit", () => {
      for (const network of running) network.#remove();
    });
  }

  static async start(count: number, options: NetworkOptions = {}): Promise<MemberNetwork> {
    const network = new MemberNetwork();
    try {
      ip("link", "add", network.#name, "type", "bridge");
      running.add(network);
      ip("link", "set", network.#name, "up");
      const ready: Promise<void>[] = [];
      for (let index = 1; index <= count; index++) ready.push(network.#add(index, options));
      await Promise.all(ready);
      if (options.unregistered === true) return network;
      for (const member of network.members) await member.register();
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
    return network;
  }

  /** Whether the last observation of each member by each other is this. */
  sees(observers: readonly NetworkMember[], subjects: readonly NetworkMember[], present: boolean) {
    return observers.every((observer) =>
      subjects.every((subject) => {
        if (observer === subject) return true;
        return (this.#latestOf(observer, subject)?.present ?? false) === present;
      }),
    );
  }

  /** Whether all others have the label of this size of a member. */
  haveLabel(subject: NetworkMember, bytes: number): boolean {
    return this.members.every(
      (it) => it === subject || this.#latestOf(it, subject)?.bytes === bytes,
    );
  }

  #latestOf(observer: NetworkMember, subject: NetworkMember) {
    return this.#latest.get(`${observer.id} ${subject.id}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    this.#remove();
  }

  /** Removes what this made of the machine's network; also when the run is interrupted. */
  #remove(): void {
    if (!running.delete(this)) return;
    for (const child of this.#children) child.kill("SIGKILL");
    for (let index = 1; index <= this.#namespaces; index++) {
      ip("netns", "del", this.#namespace(index));
    }
    ip("link", "del", this.#name);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Resolves once the process can be told to register. */
  async #add(index: number, { withoutLifeguard, keyFiles }: NetworkOptions): Promise<void> {
    const namespace = this.#namespace(index);
    const [inside, outside] = ["eth0", `${this.#name}v${index}`];
    const host = `${this.#subnet}.${index}`;
    const id = `member-${index}`;
    ip("netns", "add", namespace);
    this.#namespaces = index;
    ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", namespace);
    ip("link", "set", outside, "master", this.#name, "up");
    ip("-n", namespace, "addr", "add", `${host}/24`, "dev", inside);
    ip("-n", namespace, "link", "set", inside, "up");
    ip("-n", namespace, "link", "set", "lo", "up");
    const keyFile = join(this.#folder, id);
    const writeKeys = (keys: readonly string[]) => writeFileSync(keyFile, `${keys.join("\n")}\n`);
    writeKeys([this.key]);
    const start: Start = {
      id,
      host,
      seeds: [1, 2].map((seed) => `${this.#subnet}.${seed}`),
      key: this.key,
      ...(keyFiles === true && { keyFile }),
      ...(withoutLifeguard === true && { withoutLifeguard }),
    };
    const child = spawn(
      "ip",
      ["netns", "exec", namespace, process.execPath, bundleOf(script), JSON.stringify(start)],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    this.#children.push(child);
    // A member that was killed reads no more orders.
    child.stdin.on("error", () => {});
    const tell = (order: Order) => void child.stdin.write(`${JSON.stringify(order)}\n`);
    const states: string[] = [];
    let onRegistered = () => {};
    const ended = once(child, "exit").then(([code]) => {
      throw new Error(`${id} ended with ${code}`);
    });
    ended.catch(() => {});
    const rules = (...words: readonly string[]) =>
      void execFileSync("ip", ["netns", "exec", namespace, "iptables", ...words]);
    this.members.push({
      id,
      host,
      states,
      writeKeys,
      async register() {
        const registered = new Promise<void>((resolve) => {
          onRegistered = resolve;
        });
        tell({ do: "register" });
        await Promise.race([registered, ended]);
      },
      kill() {
        child.kill("SIGKILL");
        return Date.now();
      },
      pause(ms) {
        child.kill("SIGSTOP");
        setTimeout(() => child.kill("SIGCONT"), ms);
      },
      block: (ms) => tell({ do: "block", ms }),
      grow: (bytes) => tell({ do: "grow", bytes }),
      drop: (...rule) => rules("-A", "INPUT", ...rule, "-j", "DROP"),
      heal: () => rules("-F"),
    });
    let rest = "";
    const ready = new Promise<void>((resolve) => {
      child.stdout.on("data", (text) => {
        const lines = `${rest}${text}`.split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          const said = JSON.parse(line) as Line;
          if ("ready" in said) resolve();
          else if ("registered" in said) onRegistered();
          else if ("state" in said) states.push(said.state);
          else {
            this.observations.push(said);
            this.#latest.set(`${said.observer} ${said.subject}`, said);
          }
        }
      });
    });
    await Promise.race([ready, ended]);
  }

  #namespace(index: number): string {
    return `${this.#name}n${index}`;
  }
}

function ip(...words: readonly string[]): void {
  execFileSync("ip", words, { stdio: ["ignore", "ignore", "pipe"] });
}
