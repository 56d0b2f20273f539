import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { bundleOf } from "../../support/bundle.ts";
import type { Observation } from "../check-membership.ts";

const script = fileURLToPath(new URL("member.ts", import.meta.url));

/** A member in a network namespace of its own. */
export interface NetworkMember {
  readonly id: string;
  readonly host: string;
  /** The states of its registry, in order. */
  readonly states: readonly string[];
  /** Ends the process without a goodbye. Returns when that was. */
  kill(): number;
  /** Adds a rule to the packets that it receives. */
  drop(...rule: readonly string[]): void;
  /** Removes all rules. */
  heal(): void;
}

let networks = 0;
const running = new Set<MemberNetwork>();

/** Members in network namespaces that a bridge connects; only root can make them. */
export class MemberNetwork implements AsyncDisposable {
  readonly observations: Observation[] = [];
  readonly members: NetworkMember[] = [];
  readonly #name = `mg${process.pid % 100_000}${String.fromCharCode(97 + networks)}`;
  readonly #subnet = `10.${77 + (process.pid % 100)}.${networks++}`;
  readonly #key = randomBytes(32).toString("base64");
  readonly #children: ChildProcess[] = [];
  #namespaces = 0;

  static {
    process.once("exit", () => {
      for (const network of running) network.#remove();
    });
  }

  static async start(count: number): Promise<MemberNetwork> {
    const network = new MemberNetwork();
    try {
      ip("link", "add", network.#name, "type", "bridge");
      running.add(network);
      ip("link", "set", network.#name, "up");
      for (let index = 1; index <= count; index++) await network.#add(index);
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
        const seen = this.observations.filter(
          (it) => it.observer === observer.id && it.subject === subject.id,
        );
        return (seen.at(-1)?.present ?? false) === present;
      }),
    );
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
  }

  async #add(index: number): Promise<void> {
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
    const seeds = [1, 2].map((seed) => `${this.#subnet}.${seed}`);
    const argument = JSON.stringify({ id, host, seeds, key: this.#key });
    const child = spawn(
      "ip",
      ["netns", "exec", namespace, process.execPath, bundleOf(script), argument],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    this.#children.push(child);
    const states: string[] = [];
    let rest = "";
    await new Promise<void>((resolve, reject) => {
      child.once("exit", (code) => reject(new Error(`${id} ended with ${code}`)));
      child.stdout.on("data", (text) => {
        const lines = `${rest}${text}`.split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          if (line === "registered") {
            resolve();
            continue;
          }
          const written = JSON.parse(line) as Observation | { readonly state: string };
          if ("state" in written) states.push(written.state);
          else this.observations.push(written);
        }
      });
    });
    const rules = (...words: readonly string[]) =>
      void execFileSync("ip", ["netns", "exec", namespace, "iptables", ...words]);
    this.members.push({
      id,
      host,
      states,
      kill() {
        child.kill("SIGKILL");
        return Date.now();
      },
      drop: (...rule) => rules("-A", "INPUT", ...rule, "-j", "DROP"),
      heal: () => rules("-F"),
    });
  }

  #namespace(index: number): string {
    return `${this.#name}n${index}`;
  }
}

function ip(...words: readonly string[]): void {
  execFileSync("ip", words, { stdio: ["ignore", "ignore", "pipe"] });
}
