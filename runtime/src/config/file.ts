import { resolve } from "node:path";
import { type BackendState, BackendStatus, type StateListener } from "../backend.ts";
import type { ConfigSource, ConfigSourceGuarantees, ConfigTable } from "./config.ts";
import { type FileFormat, formatOf, parseFile } from "./file-format.ts";
import { FileWatch } from "./file-watch.ts";
import { Latest } from "./latest.ts";
import { type ReadOptions, readSettled, type Settled } from "./settled-file.ts";

/** How a config file is read. */
export interface FileSourceOptions {
  /** Default: by the end of the file's name, `.json`, `.yaml`, `.yml` or `.toml`. */
  readonly format?: FileFormat;
  /** Whether it is an error that the file does not exist; otherwise it is an empty table. Default true. */
  readonly required?: boolean;
  /** Whether changes of the file are taken over while the process runs. Default true. */
  readonly watch?: boolean;
}

/**
 * Configuration out of a JSON, YAML or TOML file of at most 1 MiB, UTF-8, nested at most 32 levels.
 *
 * Changes are seen however the file is written: by an atomic rename, by swapping a symbolic link on the way to
 * it (as Kubernetes does for mounted config maps), or in place. A file written in place is taken over once it
 * has rested for 50 ms and is well-formed; one that stays broken, empty or missing for half a second is
 * reported. A part of a YAML or TOML file can be well-formed too, so write those by renaming.
 *
 * @throws MicroError `invalid_argument` when the format cannot be told by the name.
 */
export function fileSource(path: string, options: FileSourceOptions = {}): ConfigSource {
  const format = options.format ?? formatOf(path);
  return new FileSource(resolve(path), format, options);
}

class FileSource implements ConfigSource {
  readonly name: string;
  readonly guarantees: ConfigSourceGuarantees;
  readonly watch?: NonNullable<ConfigSource["watch"]>;
  readonly #path: string;
  readonly #format: FileFormat;
  readonly #required: boolean;
  readonly #status = new BackendStatus();
  readonly #changes = new Latest<ConfigTable>();
  readonly #closing = new AbortController();
  /** What the watch has seen last; only what differs from it is a change. */
  #file: Settled<ConfigTable> | undefined;
  #content: string | undefined;
  #problem: string | undefined;
  #watching: Promise<FileWatch> | undefined;
  #reading: Promise<void> | undefined;
  #readAgain = false;

  constructor(
    path: string,
    format: FileFormat,
    { required = true, watch = true }: FileSourceOptions,
  ) {
    this.name = `file:${path}`;
    this.#path = path;
    this.#format = format;
    this.#required = required;
    this.guarantees = { reach: "host", watch, consistency: "table" };
    if (watch) this.watch = (watchOptions) => this.#watch(watchOptions?.signal);
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  async load(options: { readonly signal?: AbortSignal } = {}): Promise<ConfigTable> {
    const { signal } = this.#closing;
    // What the watch compares with must not be newer than what is loaded, or the change would be missed.
    await this.#watching;
    await this.#reading;
    const signals = options.signal === undefined ? [signal] : [options.signal, signal];
    const file = await this.#read({ waitForMissing: false, signal: AbortSignal.any(signals) });
    this.#report(file);
    if ("problem" in file!) throw file.problem;
    return file!.value;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#changes.close();
    await this.#reading;
    await this.#stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #watch(signal: AbortSignal | undefined): AsyncIterable<ConfigTable> {
    const subscription = this.#changes.subscribe({
      signal,
      onEnd: () => {
        if (this.#changes.readers === 0) void this.#stop();
      },
    });
    if (this.#changes.readers > 0 && this.#watching === undefined) this.#start();
    return subscription;
  }

  #start(): void {
    this.#watching = FileWatch.start(this.#path, () => this.#look());
    this.#reading = this.#watching.then(async () => {
      const { signal } = this.#closing;
      this.#file = await this.#read({ waitForMissing: false, signal }).catch(() => undefined);
      if (this.#file !== undefined && "content" in this.#file) this.#content = this.#file.content;
      this.#report(this.#file);
      this.#reading = undefined;
      if (this.#readAgain) this.#look();
    });
  }

  async #stop(): Promise<void> {
    const watching = this.#watching;
    this.#watching = undefined;
    (await watching)?.close();
  }

  #look(): void {
    this.#readAgain = this.#reading !== undefined;
    if (this.#readAgain || this.#closing.signal.aborted) return;
    this.#reading = this.#takeOver().then(() => {
      this.#reading = undefined;
      if (this.#readAgain) this.#look();
    });
  }

  /** Reads the file and publishes what has changed; never rejects. */
  async #takeOver(): Promise<void> {
    const { signal } = this.#closing;
    const known = this.#file?.mark;
    // It fails only when the source is closed meanwhile.
    const file = await this.#read({ waitForMissing: true, signal, known }).catch(() => undefined);
    if (file === undefined) return;
    this.#report(file);
    this.#file = file;
    if ("problem" in file || file.content === this.#content) return;
    this.#content = file.content;
    this.#changes.publish(file.value);
  }

  async #read(
    options: Omit<ReadOptions<ConfigTable>, "parse">,
  ): Promise<Settled<ConfigTable> | undefined> {
    const parse = (content: string) =>
      parseFile(this.#path, content.replace(/^\uFEFF/, ""), this.#format);
    const file = await readSettled(this.#path, { ...options, parse });
    const absent = file !== undefined && "problem" in file && file.problem.code === "not_found";
    if (!absent || this.#required) return file;
    return { mark: file.mark, content: "", value: Object.freeze({}) };
  }

  #report(file: Settled<ConfigTable> | undefined): void {
    if (file === undefined) return;
    const problem = "problem" in file ? file.problem : undefined;
    if (problem?.message === this.#problem) return;
    this.#problem = problem?.message;
    if (problem === undefined) this.#status.set("healthy");
    else if (this.#status.state === "healthy") this.#status.set("degraded", problem);
    else this.#status.explain(problem);
  }
}
