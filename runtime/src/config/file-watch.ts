import { type FSWatcher, watch } from "node:fs";
import { lstat, readlink } from "node:fs/promises";
import { dirname, join, parse, relative, resolve, sep } from "node:path";

/** Some file systems, such as those of a network, report nothing; so the file is looked at as well. */
const pollMs = 2000;
/** How long changes are gathered, so that a busy directory is not followed event by event. */
const gatherMs = 10;
const maxLinks = 40;

/**
 * Tells when a file may have changed. It watches directories and not the file, because a file that is replaced
 * takes its watch with it, and the directory of every symbolic link on the way, because Kubernetes and
 * deployments by link swap those.
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

  /** Begins to watch; resolves when no later change is missed. */
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
    // The way to the file may lead elsewhere now, or one of its directories be a new one of the same name.
    void this.#follow().then(() => {
      if (!this.#closed) this.#changed();
    });
  }

  /** Watches the directories on the way to the file as it is now, and no others. */
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
      // It is gone already, or the system has no watches left: the poll comes back to it.
    }
  }
}

/** The directories in which a name on the way to a file stands that could be made to mean another file. */
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
