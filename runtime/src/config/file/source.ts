import { resolve } from "node:path";
import { throwIfAborted, untilAborted } from "../../base/abort.ts";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { LinkedSignal } from "../../base/linked-signal.ts";
import { checkOptions, flag, oneOf } from "../../base/option-check.ts";
import { announceReload } from "../announce-reload.ts";
import type { ConfigSource, ConfigSourceGuarantees, ConfigTable } from "../config.ts";
import { LatestValue } from "../latest-value.ts";
import { type FileFormat, formatOf, parseFile } from "./format.ts";
import { type ReadOptions, readSettled, type Settled } from "./read-stable-file.ts";
import { FileWatch } from "./watch.ts";

/** Options for reading a config file. */
export interface FileSourceOptions {
  /** Default: determined by the file name extension, `.json`, `.yaml`, `.yml` or `.toml`. */
  readonly format?: FileFormat;
  /** Whether a missing file is an error; otherwise it is an empty table. Default true. */
  readonly required?: boolean;
  /** Whether changes of the file are applied while the process runs. Default true. */
  readonly watch?: boolean;
}

/**
 * Configuration from a JSON, YAML or TOML file of at most 1 MiB, in UTF-8, nested at most 32
 * levels.
 *
 * Changes are detected however the file is written: by an atomic rename, by swapping a symbolic
 * link in its path (as Kubernetes does for mounted config maps), or in place. A file written in
 * place is applied once it has been unchanged for 50 ms and is well-formed; one that stays
 * malformed, empty or missing for half a second is reported. A part of a YAML or TOML file can also
 * be well-formed, so write those by renaming.
 *
 * @throws MicroError `invalid_argument` when the file name does not determine the format.
 *
 * @example
 * ```ts
 * import { fileSource, loadConfig } from "@micro-es/runtime";
 *
 * const config = await loadConfig([fileSource("app.yaml")]);
 * ```
 */
export function fileSource(path: string, options: FileSourceOptions = {}): ConfigSource {
  checkOptions("fileSource", options, {
    format: oneOf("json", "yaml", "toml"),
    required: flag,
    watch: flag,
  });
  const format = options.format ?? formatOf(path);
  return new FileSource(resolve(path), format, options);
}

class FileSource extends Closable implements ConfigSource {
  readonly name: string;
  readonly guarantees: ConfigSourceGuarantees;
  readonly watch?: NonNullable<ConfigSource["watch"]>;
  readonly #path: string;
  readonly #format: FileFormat;
  readonly #required: boolean;
  readonly #status = new BackendStatus();
  readonly #changes = new LatestValue<ConfigTable>();
  readonly #closing = new AbortController();
  /** The state that the watch last saw; only a difference from it is a change. */
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
    super();
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
    const linked = new LinkedSignal(options.signal, this.#closing.signal);
    const { signal } = linked;
    // The state that the watch compares with must not be newer than the loaded one, or the change
    // would be missed.
    const reading = async () => {
      await this.#watching;
      await this.#reading;
      return this.#read({ waitForMissing: false, signal });
    };
    try {
      throwIfAborted(signal);
      const file = await untilAborted(reading(), signal);
      this.#report(file);
      if ("problem" in file!) throw file.problem;
      return file!.value;
    } finally {
      linked.release();
    }
  }

  protected override async closeOnce(): Promise<void> {
    this.#closing.abort();
    this.#changes.close();
    await this.#reading;
    await this.#stop();
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
      await announceReload(this.#path);
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

  /** Reads the file and publishes changes; never rejects. */
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
