import { type FSWatcher, watch } from "chokidar";
import {
  fingerprint,
  isWatchedFile,
  isWatchedFolder,
  type WatchRule,
  watchedFiles,
} from "./watched-files.ts";

/** Quiet time after a burst of changes before it is reported, in milliseconds. */
const quietMs = 100;

export interface SourceWatchOptions extends WatchRule {
  readonly folders: readonly string[];
  changed(paths: readonly string[]): void;
  failed(reason: Error): void;
}

/**
 * Reports files whose content changed, after a burst of changes. A file that is rewritten with the
 * same content, as generators and formatters do, has not changed.
 */
export class SourceWatch {
  readonly #options: SourceWatchOptions;
  readonly #watcher: FSWatcher;
  readonly #known = new Map<string, string>();
  readonly #touched = new Set<string>();
  #quiet: NodeJS.Timeout | undefined;
  #held = false;
  #closed = false;

  private constructor(options: SourceWatchOptions) {
    this.#options = options;
    this.#watcher = watch([...options.folders], {
      ignoreInitial: true,
      ignored: (path, stats) => {
        if (options.folders.includes(path) || stats === undefined) return false;
        return stats.isFile() ? !isWatchedFile(path) : !isWatchedFolder(path, options);
      },
    });
    this.#watcher.on("all", (_event, path) => this.#touch(path));
    this.#watcher.on("error", (reason) => options.failed(reason as Error));
  }

  /** Resolves when every later change is detected. */
  static async start(options: SourceWatchOptions): Promise<SourceWatch> {
    const started = new SourceWatch(options);
    await new Promise<void>((resolve) => started.#watcher.once("ready", resolve));
    for (const folder of options.folders) await started.changedBelow(folder);
    return started;
  }

  /** Checks now: returns the changed files below a folder, which are then not reported again. */
  async changedBelow(folder: string): Promise<readonly string[]> {
    const known = [...this.#known.keys()].filter((path) => path.startsWith(`${folder}/`));
    return this.#compare([...known, ...(await watchedFiles(folder, this.#options))]);
  }

  /** Reports nothing while a function runs that itself checks its changes. */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    this.#held = true;
    try {
      return await work();
    } finally {
      this.#held = false;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#quiet);
    await this.#watcher.close();
  }

  #touch(path: string): void {
    this.#touched.add(path);
    this.#tellLater();
  }

  #tellLater(): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => {
      if (this.#held) this.#tellLater();
      else void this.#tell();
    }, quietMs);
  }

  async #tell(): Promise<void> {
    const touched = [...this.#touched].filter(isWatchedFile);
    this.#touched.clear();
    const changed = await this.#compare(touched);
    if (changed.length > 0 && !this.#closed) this.#options.changed(changed);
  }

  async #compare(paths: readonly string[]): Promise<readonly string[]> {
    const changed: string[] = [];
    for (const path of new Set(paths)) {
      const now = await fingerprint(path);
      if (now === this.#known.get(path)) continue;
      changed.push(path);
      if (now === undefined) this.#known.delete(path);
      else this.#known.set(path, now);
    }
    return changed;
  }
}
