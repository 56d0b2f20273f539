import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { Closable } from "../../base/closable.ts";
import { markVariable } from "./marked-processes.ts";
import { guardedVariable, guardScript } from "./orphan-reaper-script.ts";

/** A guard that lived for less than this is replaced only after this wait, in milliseconds. */
const pauseMs = 1_000;

/**
 * The small process that ends services if this one dies without having done so. It has a session of
 * its own, so that what ends this process does not end it as well; if it is killed nevertheless,
 * another one replaces it.
 */
export class Guard extends Closable {
  readonly #mark: string;
  readonly #graceMs: number;
  readonly #onChange: (guarded: boolean) => void;
  readonly #groups = new Set<number>();
  #process: ChildProcess | undefined;
  #pause: NodeJS.Timeout | undefined;

  /**
   * @param mark the mark that every process of every service carries, see {@link markVariable}.
   * @param graceMs the time for services to end after this process has died.
   * @param onChange called with false when a guard is lost, and with true when the next one runs.
   */
  constructor(mark: string, graceMs: number, onChange: (guarded: boolean) => void) {
    super();
    this.#mark = mark;
    this.#graceMs = graceMs;
    this.#onChange = onChange;
  }

  /**
   * Resolves when services started from now on are guarded. @throws when no shell can be started.
   */
  async start(): Promise<void> {
    if (this.#process !== undefined || this.isClosing) return;
    const tenths = String(Math.ceil(this.#graceMs / 100));
    const guard = spawn("/bin/sh", ["-c", guardScript, "sh", tenths], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
      // Without the marks that this process may carry itself: a kill by those marks leaves the rest
      // to the guard.
      env: { ...process.env, [markVariable]: undefined, [guardedVariable]: this.#guarded() },
    });
    this.#process = guard;
    const began = performance.now();
    const stdin = guard.stdin as Socket;
    // Its end is handled below; the next guard knows from its start what was written meanwhile.
    stdin.on("error", () => {});
    guard.once("exit", () => this.#lost(performance.now() - began));
    try {
      await once(guard, "spawn");
    } catch (reason) {
      this.#process = undefined;
      throw reason;
    }
    // The guard alone must not keep the process running.
    guard.unref();
    stdin.unref();
    this.#onChange(true);
  }

  add(group: number): void {
    this.#groups.add(group);
    this.#process?.stdin?.write(`+${group}\n`);
  }

  remove(group: number): void {
    this.#groups.delete(group);
    this.#process?.stdin?.write(`-${group}\n`);
  }

  /** Lets the guard exit, after it has checked for remaining processes. */
  protected override async closeOnce(): Promise<void> {
    clearTimeout(this.#pause);
    const guard = this.#process;
    if (guard === undefined) return;
    const exited = once(guard, "exit");
    guard.ref();
    guard.stdin?.end();
    await exited;
  }

  /** What the next guard knows from its start; see {@link guardedVariable}. */
  #guarded(): string {
    const middle = Math.floor(this.#mark.length / 2);
    return [this.#mark.slice(0, middle), this.#mark.slice(middle), ...this.#groups].join(" ");
  }

  #lost(livedMs: number): void {
    this.#process = undefined;
    if (this.isClosing) return;
    this.#onChange(false);
    const again = () => void this.start().catch(() => this.#lost(0));
    this.#pause = setTimeout(again, livedMs < pauseMs ? pauseMs : 0).unref();
  }
}
