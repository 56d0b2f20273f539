import type { RunLog, RunState, RunStatus } from "@micro-es/runtime/runtime/local";
import { describe, expect, test } from "vitest";
import { Output } from "../src/output.ts";
import { RunView } from "../src/run/run-view.ts";

/** A view of two services, and what it has written. */
function viewOf(more: { json?: boolean; isTTY?: boolean } = {}): { view: RunView; said(): string } {
  let text = "";
  const stdout = { write: (words: string) => (text += words), isTTY: more.isTTY ?? false };
  const output = new Output({ stdout, stderr: stdout, json: more.json ?? false, environment: {} });
  const view = new RunView(output, ["cart", "web"]);
  return {
    view,
    said() {
      const said = text;
      text = "";
      return said;
    },
  };
}

const line = (text: string, cut = false): RunLog => ({
  type: "line",
  time: new Date(0),
  stream: "stdout",
  text,
  cut,
});

const status = (state: RunState, more: Partial<RunStatus> = {}): RunStatus => ({
  name: "cart",
  state,
  reason: "ended with status 1",
  restarts: 0,
  failures: 5,
  spec: { name: "cart", command: ["sh"] },
  ...more,
});

describe("the output of micro run", () => {
  test.each([
    "Error: listen EADDRINUSE: address already in use 127.0.0.1:8080",
    "already_exists: cannot listen at 127.0.0.1:8080: address already in use; stop the other process or choose another address",
  ])("names an address in use: %s", (words) => {
    const { view, said } = viewOf();
    view.log("cart", line(words));
    said();
    view.status(status("backing-off"));
    expect(said()).toMatch(/cart ended with status 1: 127\.0\.0\.1:8080 is taken; `lsof -i :8080`/);
    // A later failure has another reason.
    view.status(status("starting"));
    view.status(status("crash-loop"));
    expect(said()).toMatch(
      /in a crash loop: 5 failures in a row, the last one ended with status 1; restarting/,
    );
  });

  test("reports truncated and lost lines", () => {
    const { view, said } = viewOf();
    view.log("cart", line("long", true));
    view.log("web", { type: "lost", lines: 12 });
    expect(said()).toBe(
      "cart  | long … (cut)\nweb   | … 12 lines were lost: they arrived faster than they could be shown\n",
    );
  });

  test("lets a service colour its lines on a terminal, and nothing else", () => {
    const hostile = "\u001b[2J\u001b]0;title\u0007at 10 %\rat \u001b[31m20\u001b[0m %\u001b[1A";
    const terminal = viewOf({ isTTY: true });
    terminal.view.log("cart", line(hostile));
    expect(terminal.said()).toBe(
      "\u001b[36mcart  | \u001b[0mat \u001b[31m20\u001b[0m %\u001b[0m\n",
    );
    const piped = viewOf();
    piped.view.log("cart", line(hostile));
    expect(piped.said()).toBe("cart  | at 20 %\n");
  });

  test("is one object per line as JSON, with the original line", () => {
    const { view, said } = viewOf({ json: true });
    view.log("cart", line("\u001b[31mred", true));
    expect(JSON.parse(said())).toEqual({
      type: "log",
      service: "cart",
      time: "1970-01-01T00:00:00.000Z",
      stream: "stdout",
      text: "\u001b[31mred",
      cut: true,
    });
    view.log("cart", { type: "lost", lines: 3 });
    expect(JSON.parse(said())).toEqual({ type: "lost", service: "cart", lines: 3 });
  });
});
