import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * The files that running services reload themselves, such as configuration, as announced by the
 * services.
 */
export class ReloadedFiles implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(): Promise<ReloadedFiles> {
    return new ReloadedFiles(await mkdtemp(join(tmpdir(), "micro-run-")));
  }

  /** Environment variables that a service needs to announce its files. */
  environmentOf(service: string): Readonly<Record<string, string>> {
    return { MICRO_RUN_RELOADED_FILES: this.#listOf(service) };
  }

  /** Whether a service has announced that it reloads this file. */
  async includes(service: string, path: string): Promise<boolean> {
    const list = await readFile(this.#listOf(service), "utf8").catch((reason: unknown) => {
      if ((reason as NodeJS.ErrnoException).code === "ENOENT") return "";
      throw reason;
    });
    return list.split("\n").includes(path);
  }

  /** Forgets the announcements of a service: its next process may reload other files. */
  async forget(service: string): Promise<void> {
    await rm(this.#listOf(service), { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  #listOf(service: string): string {
    return join(this.#folder, `${encodeURIComponent(service)}.txt`);
  }
}
