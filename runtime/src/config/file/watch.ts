import { type FSWatcher, watch } from "node:fs";
import { lstat, readlink } from "node:fs/promises";
import { dirname, join, parse, relative, resolve, sep } from "node:path";

/**
 * Some file systems, such as network file systems, report no events, so the file is also polled.
 */
const pollMs = 2000;
/** How long changes are collected, so that a busy directory is not followed event by event. */
const gatherMs = 10;
const maxLinks = 40;

/**
 * Reports when a file may have changed. It watches directories instead of the file, because a
 * replaced file takes its watch with it, and also the directory of every symbolic link in the path,
 * because Kubernetes and deployments by link swap those.
 */
export class FileWatch {
  readonly #path: string;
  readonly #changed: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #poll: NodeJS.Timeout;
  #gathering: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(path: string, changed: () => void) {
    this.#path = resolve(path);
    this.#changed = changed;
    this.#poll = setInterval(() => this.#look(), pollMs);
    this.#poll.unref();
  }

  /** Starts watching; resolves once no later change is missed. */
  static async start(path: string, changed: () => void): Promise<FileWatch> {
    const fileWatch = new FileWatch(path, changed);
    await fileWatch.#follow();
    return fileWatch;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#gathering);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #gather(): void {
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      this.#look();
    }, gatherMs).unref();
  }

  #look(): void {
    // The path may now lead elsewhere, or one of its directories may be a new one of the same name.
    void this.#follow().then(() => {
      if (!this.#closed) this.#changed();
    });
  }

  /** Watches exactly the directories in the file's current path. */
  async #follow(): Promise<void> {
    const directories = await directoriesOnTheWay(this.#path);
    if (this.#closed) return;
    for (const [directory, watcher] of this.#watchers) {
      if (directories.has(directory)) continue;
      watcher.close();
      this.#watchers.delete(directory);
    }
    for (const directory of directories) {
      if (!this.#watchers.has(directory)) this.#watch(directory);
    }
  }

  #watch(directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, () => this.#gather());
      const forget = () => {
        watcher.close();
        if (this.#watchers.get(directory) === watcher) this.#watchers.delete(directory);
      };
      watcher.on("error", forget);
      this.#watchers.set(directory, watcher);
    } catch {
      // It is already gone, or the system has no watches left: the poll retries it.
    }
  }
}

/**
 * The directories containing a name in the file's path that could be changed to refer to another
 * file.
 */
async function directoriesOnTheWay(path: string): Promise<ReadonlySet<string>> {
  const directories = new Set<string>();
  let target = path;
  let links = 0;
  follow: while (links <= maxLinks) {
    const { root } = parse(target);
    let walked = root;
    for (const name of relative(root, target).split(sep)) {
      const at = join(walked, name);
      const found = await lstat(at).catch(() => undefined);
      if (found === undefined) {
        directories.add(walked);
        return directories;
      }
      if (found.isSymbolicLink()) {
        directories.add(walked);
        const to = await readlink(at).catch(() => undefined);
        if (to === undefined) return directories;
        target = join(resolve(walked, to), relative(at, target));
        links++;
        continue follow;
      }
      walked = at;
    }
    directories.add(dirname(target));
    return directories;
  }
  return directories;
}
