import { escapeControls } from "@micro-es/runtime/terminal-text";
import type { Failure } from "./failure.ts";
import { Progress, type TerminalStream } from "./progress.ts";
import {
  joined,
  jsonText,
  lines,
  type RichText,
  renderText,
  styled,
  type Text,
  text,
} from "./text.ts";

/** The destination of an {@link Output}, such as `process.stdout`. */
export interface OutputStream extends TerminalStream {
  readonly isTTY?: boolean;
}

export interface OutputOptions {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** Prints results as JSON, one value per line. */
  readonly json: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * The output of a command: results on standard output, as text or JSON, and everything else on
 * standard error. Colours and progress are for terminals only; `NO_COLOR` turns colours off,
 * `FORCE_COLOR` on (https://no-color.org).
 *
 * Nothing else in this program writes to either stream. All output is {@link Text}, in which
 * control characters are escaped, on a terminal and elsewhere; only {@link data} is written
 * unchanged if there is no terminal.
 */
export class Output {
  readonly json: boolean;
  readonly #stdout: OutputStream;
  readonly #stderr: OutputStream;
  readonly #coloured: { readonly stdout: boolean; readonly stderr: boolean };
  /** Undefined without a terminal. */
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

  /** Whether standard output is a text for people. */
  get onTerminal(): boolean {
    return this.#stdout.isTTY === true;
  }

  /** Whether standard output shows styles. */
  get coloured(): boolean {
    return this.#coloured.stdout;
  }

  /** Prints a result: as JSON on request, else the text of `words`; nothing if that is empty. */
  result(value: unknown, words: () => Text): void {
    if (this.json) this.line(jsonText(value));
    else {
      const shown = renderText(words(), this.#coloured.stdout);
      if (shown !== "") this.#write(`${shown}\n`);
    }
  }

  /**
   * Prints a result that is raw data, such as a value of a store. Files and programs receive it
   * unchanged, a terminal escaped.
   */
  data(value: unknown, content: string): void {
    if (this.json || this.onTerminal) this.result(value, () => lines(content));
    else if (content !== "") this.#write(`${content}\n`);
  }

  /** Prints a page on standard output; `over`: on a terminal, replaces the current content. */
  page(content: Text, over: boolean): void {
    const clear = over && this.onTerminal ? "\u001b[H\u001b[2J\u001b[3J" : "";
    this.#write(`${clear}${renderText(content, this.#coloured.stdout)}\n`);
  }

  /** Prints text on standard output, whatever the format. */
  line(content: Text): void {
    this.#write(`${renderText(content, this.#coloured.stdout)}\n`);
  }

  /** Prints a note on standard error; silent with `--json`. */
  note(content: Text): void {
    if (this.json) return;
    this.#progress?.hide();
    this.#writeError(content);
  }

  failure(failure: Failure): void {
    this.endProgress();
    if (this.json) {
      const { exitCode: _, ...error } = failure;
      this.#writeError(jsonText({ error }));
      return;
    }
    const code = failure.code === undefined ? "" : `${failure.code}: `;
    // Lines of a message are indented, so that none of them can look like a line of this program.
    const message = joined(failure.message.split("\n"), "\n  ");
    const advice = failure.advice === undefined ? "" : `\n  ${failure.advice}`;
    this.#writeError(text`${styled("red", "error:")} ${code}${message}${lines(advice)}`);
  }

  /**
   * Shows on a terminal what the command waits for, once that takes a second, until the next call
   * or {@link endProgress}. Other output appears above it.
   */
  progress(text: string): void {
    this.#progress?.set(text);
  }

  endProgress(): void {
    this.#progress?.end();
  }

  /** Rows under headings, columns two spaces apart; the last column is not padded. */
  table(headings: readonly string[], rows: readonly (readonly string[])[]): RichText {
    const shown = rows.map((row) => row.map((cell) => escapeControls(cell)));
    const widths = headings.map((heading, column) =>
      Math.max(heading.length, ...shown.map((row) => row[column]?.length ?? 0)),
    );
    const line = (cells: readonly string[]) =>
      cells
        .map((cell, column) =>
          column === cells.length - 1 ? cell : cell.padEnd(widths[column] ?? 0),
        )
        .join("  ");
    return joined([styled("dim", line(headings)), ...shown.map(line)]);
  }

  #write(shown: string): void {
    this.#progress?.hide();
    this.#stdout.write(shown);
  }

  #writeError(content: Text): void {
    this.#stderr.write(`${renderText(content, this.#coloured.stderr)}\n`);
  }
}
