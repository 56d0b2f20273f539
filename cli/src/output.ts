import type { Failure } from "./failure.ts";
import { Progress, type TerminalStream } from "./progress.ts";

/** Where an {@link Output} writes; `process.stdout` is one. */
export interface OutputStream extends TerminalStream {
  readonly isTTY?: boolean;
}

export interface OutputOptions {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** Results as JSON, one value a line. */
  readonly json: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const styles = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 };
export type Style = keyof typeof styles;

/**
 * What a command says: results on standard output, for people or as JSON, and all else on standard error. Colours
 * and progress are for terminals only; `NO_COLOR` turns colours off, `FORCE_COLOR` on (https://no-color.org).
 */
export class Output {
  readonly json: boolean;
  readonly #stdout: OutputStream;
  readonly #stderr: OutputStream;
  readonly #coloured: { readonly stdout: boolean; readonly stderr: boolean };
  /** Undefined where nobody looks at a terminal. */
  readonly #progress: Progress | undefined;

  constructor({ stdout, stderr, json, environment }: OutputOptions) {
    this.json = json;
    this.#stdout = stdout;
    this.#stderr = stderr;
    const coloured = (stream: OutputStream) => {
      if (environment.NO_COLOR) return false;
      const forced = environment.FORCE_COLOR;
      if (forced !== undefined && forced !== "") return forced !== "0";
      return stream.isTTY === true && environment.TERM !== "dumb";
    };
    this.#coloured = { stdout: coloured(stdout), stderr: coloured(stderr) };
    const erases = stderr.isTTY === true && environment.TERM !== "dumb";
    this.#progress = erases && !json ? new Progress(stderr) : undefined;
  }

  /** Whether standard output shows styles. */
  get coloured(): boolean {
    return this.#coloured.stdout;
  }

  /** One result: as JSON where that was asked for, else in the words that `text` gives; nothing for no words. */
  result(value: unknown, text: () => string): void {
    if (this.json) this.#write(`${JSON.stringify(value)}\n`);
    else {
      const words = text();
      if (words !== "") this.#write(`${words}\n`);
    }
  }

  /** A page on standard output; `over`: on a terminal, in place of what it shows. */
  page(text: string, over: boolean): void {
    const clear = over && this.#stdout.isTTY === true ? "\u001b[H\u001b[2J\u001b[3J" : "";
    this.#write(`${clear}${text}\n`);
  }

  /** Words on standard output, whatever the format. */
  line(text: string): void {
    this.#write(`${text}\n`);
  }

  /** Something beside the result, on standard error; silent with `--json`. */
  note(text: string): void {
    if (this.json) return;
    this.#progress?.hide();
    this.#stderr.write(`${text}\n`);
  }

  failure(failure: Failure): void {
    this.endProgress();
    if (this.json) {
      const { exitCode: _, ...error } = failure;
      this.#stderr.write(`${JSON.stringify({ error })}\n`);
      return;
    }
    const code = failure.code === undefined ? "" : `${failure.code}: `;
    const head = this.#paint("red", "error:", this.#coloured.stderr);
    this.#stderr.write(`${head} ${code}${failure.message}\n`);
  }

  /**
   * Tells a terminal what is being waited for, once that has taken a second, until there is something else to wait for or
   * {@link endProgress}. What is written meanwhile stands above it.
   */
  progress(text: string): void {
    this.#progress?.set(text);
  }

  endProgress(): void {
    this.#progress?.end();
  }

  /** The text in a style, where standard output shows styles. */
  style(style: Style, text: string): string {
    return this.#paint(style, text, this.#coloured.stdout);
  }

  /** Rows under headings, columns two blanks apart; the last column is not filled up. */
  table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
    const widths = headings.map((heading, column) =>
      Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
    );
    const line = (cells: readonly string[]) =>
      cells
        .map((cell, column) =>
          column === cells.length - 1 ? cell : cell.padEnd(widths[column] ?? 0),
        )
        .join("  ");
    return [this.style("dim", line(headings)), ...rows.map(line)].join("\n");
  }

  #write(text: string): void {
    this.#progress?.hide();
    this.#stdout.write(text);
  }

  #paint(style: Style, text: string, coloured: boolean): string {
    return coloured ? `\u001b[${styles[style]}m${text}\u001b[0m` : text;
  }
}
