import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { guardScript } from "./guard-script.ts";
import { markVariable } from "./marked-processes.ts";

/** A guard that lived shorter than this is followed by another only after this, in milliseconds. */
const pauseMs = 1_000;

/**
 * The small process that ends services when this one dies without having done so. It is in a session of its own, so
 * that nothing that ends this process ends it too; should it be killed all the same, another takes its place.
 */
export class Guard {
  readonly #mark: string;
  readonly #graceMs: number;
  readonly #guarded: (is: boolean) => void;
  readonly #groups = new Set<number>();
  #process: ChildProcess | undefined;
  #pause: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  /**
   * @param mark what every process of every service bears, see {@link markVariable}.
   * @param graceMs what services have to end in, when this process has died.
   * @param guarded is told when a guard is lost, and when the next one is there.
   */
  constructor(mark: string, graceMs: number, guarded: (is: boolean) => void) {
    this.#mark = mark;
    this.#graceMs = graceMs;
    this.#guarded = guarded;
  }

  /** Resolves when services that are started from now on are guarded. @throws when no shell can be started. */
  async start(): Promise<void> {
    if (this.#process !== undefined || this.#closing !== undefined) return;
    const tenths = String(Math.ceil(this.#graceMs / 100));
    const guard = spawn("/bin/sh", ["-c", guardScript, "sh", tenths], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
      // Without the marks that this process may bear itself: whoever ends it by them leaves the rest to the guard.
      env: { ...process.env, [markVariable]: undefined },
    });
    this.#process = guard;
    const began = performance.now();
    const stdin = guard.stdin as Socket;
    // Its end is heard below; what is written meanwhile is told again to the next one.
    stdin.on("error", () => {});
    stdin.write(`${[this.#mark, ...[...this.#groups].map((it) => `+${it}`)].join("\n")}\n`);
    guard.once("exit", () => this.#lost(performance.now() - began));
    try {
      await once(guard, "spawn");
    } catch (reason) {
      this.#process = undefined;
      throw reason;
    }
    // Guarding alone is no reason to go on running.
    guard.unref();
    stdin.unref();
    this.#guarded(true);
  }

  add(group: number): void {
    this.#groups.add(group);
    this.#process?.stdin?.write(`+${group}\n`);
  }

  remove(group: number): void {
    this.#groups.delete(group);
    this.#process?.stdin?.write(`-${group}\n`);
  }

  /** Lets the guard end; it looks for what is left first. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#pause);
    const guard = this.#process;
    if (guard === undefined) return;
    const exited = once(guard, "exit");
    guard.ref();
    guard.stdin?.end();
    await exited;
  }

  #lost(livedMs: number): void {
    this.#process = undefined;
    if (this.#closing !== undefined) return;
    this.#guarded(false);
    const again = () => void this.start().catch(() => this.#lost(0));
    this.#pause = setTimeout(again, livedMs < pauseMs ? pauseMs : 0).unref();
  }
}
