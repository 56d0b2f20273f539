import assert from "node:assert/strict";
import { type Code, MicroError } from "@micro-es/runtime";
import type {
  RunLog,
  RunSpec,
  RunState,
  RunStatus,
  Runtime,
} from "@micro-es/runtime/runtime/local";
import type { ContractCase } from "./contract.ts";

/** Creates a runtime to test: one that gives up on a service early, see {@link runtimeContract}. */
export type CreateRuntime = () => Promise<Runtime>;

/** Services are commands of a POSIX shell, which must exist where they run. */
const shell = (script: string, more: Partial<RunSpec> = {}): RunSpec => ({
  name: "service",
  command: ["sh", "-c", script],
  ...more,
});

const stays = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done";
const deaf = "trap '' TERM; echo up; while :; do sleep 0.05; done";

/**
 * The behaviour of every runtime.
 * @param create creates a runtime whose waits after failures are at most 50 ms, and for which three
 * failures less than ten seconds apart are a crash loop.
 */
export function runtimeContract(create: CreateRuntime): readonly ContractCase[] {
  const withRuntime = (name: string, run: (runtime: Runtime) => Promise<void>): ContractCase => ({
    name,
    async run() {
      const runtime = await create();
      try {
        await run(runtime);
      } finally {
        await runtime.close(0);
      }
    },
  });
  return [
    withRuntime("runs a service, reports its state, and stops it", async (runtime) => {
      const created = await runtime.create(shell(stays));
      assert.equal(created.state, "running");
      assert.ok((created.pid ?? 0) > 0);
      assert.equal(created.restarts, 0);
      assert.deepEqual(created.spec.command, ["sh", "-c", stays]);
      assert.deepEqual(
        (await runtime.list()).map(({ name }) => name),
        ["service"],
      );
      await firstLine(runtime, "up");
      const logs = collect(runtime.logs("service", { follow: true }));
      await runtime.delete("service");
      assert.deepEqual((await logs).map(textOf), ["up", "bye"]);
      assert.deepEqual(await runtime.list(), []);
      await fails("not_found", () => runtime.read("service"));
    }),
    withRuntime("keeps names apart, and lists them", async (runtime) => {
      await runtime.create(shell(stays, { name: "a" }));
      await runtime.create(shell(stays, { name: "b" }));
      await fails("already_exists", () => runtime.create(shell(stays, { name: "a" })));
      assert.deepEqual(
        (await runtime.list()).map(({ name }) => name),
        ["a", "b"],
      );
      await runtime.delete("a");
      assert.equal((await runtime.read("b")).state, "running");
      const unknown = await fails("not_found", () => runtime.update("c"));
      assert.match(unknown.message, /there are: b/);
      await fails("not_found", () => runtime.delete("a"));
      assert.throws(() => runtime.logs("a"), { code: "not_found" });
    }),
    withRuntime("is ready when its output says so", async (runtime) => {
      const ready = shell("sleep 0.1; echo it listens here; sleep 60", { readyText: "listens" });
      assert.equal((await runtime.create(ready)).state, "starting");
      await reaches(runtime, "running");
    }),
    withRuntime("restarts a failing service, and reports a crash loop", async (runtime) => {
      const seen = states(runtime);
      await runtime.create(shell("echo up; exit 3"));
      const status = await reaches(runtime, "crash-loop");
      assert.equal(status.failures >= 3, true);
      assert.equal(status.restarts >= 2, true);
      assert.equal(status.lastExit?.code, 3);
      assert.match(status.reason, /ended with status 3/);
      assert.ok(status.nextStartAt instanceof Date);
      assert.deepEqual(seen.slice(0, 3), ["starting", "running", "backing-off"]);
      // It continues to retry.
      await until(runtime, (now) => now.restarts > status.restarts);
      const mended = await runtime.update("service", { command: ["sh", "-c", stays] });
      assert.equal(mended.failures, 0);
      assert.equal(mended.state, "running");
    }),
    withRuntime("reports which signal ended a service", async (runtime) => {
      await runtime.create(shell("kill -KILL $$", { restart: "never" }));
      const status = await reaches(runtime, "stopped");
      assert.equal(status.lastExit?.signal, "SIGKILL");
      assert.equal(status.lastExit?.code, null);
      assert.match(status.reason, /SIGKILL/);
    }),
    withRuntime("restarts according to the policy", async (runtime) => {
      await runtime.create(shell("exit 0", { name: "done" }));
      await runtime.create(shell("exit 1", { name: "once", restart: "never" }));
      await runtime.create(shell("exit 0", { name: "always", restart: "always" }));
      await until(runtime, ({ restarts }) => restarts >= 2, "always");
      assert.equal((await reaches(runtime, "stopped", "done")).restarts, 0);
      assert.equal((await reaches(runtime, "stopped", "once")).restarts, 0);
      assert.equal((await runtime.update("done")).restarts, 1);
    }),
    withRuntime("reports what cannot be started", async (runtime) => {
      await runtime.create({ name: "typo", command: ["no-such-program"] });
      assert.match((await reaches(runtime, "backing-off", "typo")).reason, /no-such-program/);
      await runtime.create(shell(stays, { name: "lost", folder: "/no/such/folder" }));
      const { reason } = await reaches(runtime, "backing-off", "lost");
      assert.match(reason, /there is no folder \/no\/such\/folder/);
      for (const wrong of [
        { name: "", command: ["sh"] },
        { name: "a\nb", command: ["sh"] },
        { name: "x", command: [] },
        { name: "x", command: ["sh", "a\0b"] },
        { name: "x", command: ["sh"], environment: { "A=B": "c" } },
        { name: "x", command: ["sh"], graceMs: -1 },
      ]) {
        await fails("invalid_argument", () => runtime.create(wrong as unknown as RunSpec));
      }
      await fails("invalid_argument", () => runtime.update("lost", { graceMs: Number.NaN }));
    }),
    withRuntime("gives a service its folder and variables", async (runtime) => {
      const script = 'echo "$PWD $GIVEN <$HOME>"; sleep 60';
      const environment = { GIVEN: "so", HOME: undefined };
      await runtime.create(shell(script, { folder: "/", environment }));
      await firstLine(runtime, "/ so <>");
    }),
    withRuntime("updates by a restart with a reason", async (runtime) => {
      const before = await runtime.create(shell(stays));
      const after = await runtime.update(
        "service",
        { command: ["sh", "-c", "echo new; sleep 60"] },
        { reason: "main.ts changed" },
      );
      assert.notEqual(after.pid, before.pid);
      assert.equal(after.restarts, 1);
      assert.equal(after.reason, "main.ts changed");
      await firstLine(runtime, "new");
      assert.equal(after.spec.name, "service");
    }),
    withRuntime("combines concurrent updates in one restart", async (runtime) => {
      await runtime.create(shell(stays));
      await Promise.all([1, 2, 3].map(() => runtime.update("service")));
      assert.equal((await runtime.read("service")).restarts, 1);
    }),
    withRuntime("stops waiting when it gets an update", async (runtime) => {
      await runtime.create(shell("exit 0"));
      await reaches(runtime, "stopped");
      assert.equal((await runtime.update("service", { restart: "never" })).restarts, 1);
    }),
    withRuntime("kills a service that does not stop within its grace", async (runtime) => {
      await runtime.create(shell(deaf, { graceMs: 100 }));
      await firstLine(runtime, "up");
      await runtime.update("service", { graceMs: 60_000 });
      assert.equal((await runtime.read("service")).lastExit?.signal, "SIGKILL");
      // A second call shortens the grace period of the first.
      const slow = runtime.delete("service");
      await runtime.delete("service", { graceMs: 0 });
      await slow;
    }),
    withRuntime("refuses an update whose service is deleted meanwhile", async (runtime) => {
      await runtime.create(shell(deaf, { graceMs: 200 }));
      await firstLine(runtime, "up");
      const updated = fails("aborted", () => runtime.update("service"));
      await runtime.delete("service");
      await updated;
    }),
    withRuntime("keeps output with its stream and time", async (runtime) => {
      const began = Date.now() - 1_000;
      await runtime.create(
        shell("echo one; echo two >&2; printf 'windows\\r\\n\\nçé'; exit 0", { restart: "never" }),
      );
      await reaches(runtime, "stopped");
      const lines = await collect(runtime.logs("service"));
      assert.deepEqual(
        lines.filter((it) => it.type === "line" && it.stream === "stdout").map(textOf),
        ["one", "windows", "", "çé"],
      );
      assert.deepEqual(
        lines.filter((it) => it.type === "line" && it.stream === "stderr").map(textOf),
        ["two"],
      );
      for (const line of lines) {
        assert.ok(line.type === "line" && line.time.getTime() >= began && !line.cut);
      }
      assert.equal((await collect(runtime.logs("service", { tail: 2 }))).length, 2);
      assert.deepEqual(await collect(runtime.logs("service", { tail: 0 })), []);
    }),
    withRuntime("follows logs over a restart, until the signal fires", async (runtime) => {
      await runtime.create(shell("echo run; exec sleep 60"));
      const controller = new AbortController();
      const { signal } = controller;
      const seen: string[] = [];
      for await (const log of runtime.logs("service", { follow: true, signal })) {
        seen.push(textOf(log));
        if (seen.length === 2) controller.abort();
        else void runtime.update("service");
      }
      assert.deepEqual(seen, ["run", "run"]);
    }),
    withRuntime("keeps the newest lines, and reports losses to a slow reader", async (runtime) => {
      const reader = slowReader(runtime);
      await runtime.create(
        shell(
          "echo first; read -r _ </dev/null; i=0; while [ $i -lt 400 ]; do printf '%8000s\\n' $i; i=$((i+1)); done",
          {
            restart: "never",
          },
        ),
      );
      const logs = await reader();
      const [first, lost] = logs;
      assert.equal(first === undefined ? "" : textOf(first), "first");
      assert.equal(lost?.type, "lost");
      const left = logs.slice(2).map(textOf);
      assert.equal(left.at(-1)?.trim(), "399");
      assert.equal(lost?.type === "lost" && lost.lines + left.length, 400);
    }),
    withRuntime("truncates a line that is too long, and continues after it", async (runtime) => {
      const long = "i=0; while [ $i -lt 100 ]; do printf '%100000s' x; i=$((i+1)); done";
      await runtime.create(shell(`${long}; echo; echo after`, { restart: "never" }));
      await reaches(runtime, "stopped");
      const [first, second] = await collect(runtime.logs("service"));
      assert.equal(first?.type === "line" && first.cut, true);
      assert.equal(second === undefined ? "" : textOf(second), "after");
    }),
    withRuntime(
      "leaves nothing of a service that ended, nor of one that is deleted",
      async (runtime) => {
        // Its processes can be observed only on this host.
        if (runtime.guarantees.reach !== "host") return;
        // The shell ends, and the process that it started remains.
        await runtime.create(shell("sleep 1000 & echo $!; exit 0", { name: "left" }));
        await reaches(runtime, "stopped", "left");
        await isGone(Number(await firstLine(runtime, /\d+/, "left")));
        await runtime.create(shell("sleep 1000 & echo $!; wait"));
        const child = Number(await firstLine(runtime, /\d+/));
        await runtime.delete("service");
        await isGone(child);
      },
    ),
    withRuntime("closes more than once, and starts nothing afterwards", async (runtime) => {
      await runtime.create(shell(stays));
      await Promise.all([runtime.close(), runtime.close()]);
      await runtime.close();
      await fails("failed_precondition", () => runtime.create(shell(stays)));
      assert.deepEqual(await runtime.list(), []);
    }),
    withRuntime("survives a listener that throws", async (runtime) => {
      const warned = new Promise((resolve) => process.once("warning", resolve));
      const forget = runtime.onChange(() => {
        throw new Error("mine");
      });
      assert.equal((await runtime.create(shell(stays))).state, "running");
      assert.match(String(await warned), /mine/);
      forget();
    }),
  ];

  /** Reads one line, waits until the service has ended, and reads the rest. */
  function slowReader(runtime: Runtime): () => Promise<readonly RunLog[]> {
    return async () => {
      await firstLine(runtime, "first");
      const logs = runtime.logs("service")[Symbol.asyncIterator]();
      const read = [(await logs.next()).value as RunLog];
      await reaches(runtime, "stopped");
      for (let next = await logs.next(); next.done !== true; next = await logs.next()) {
        read.push(next.value);
      }
      return read;
    };
  }
}

/** The first matching line of a service's output. */
async function firstLine(
  runtime: Runtime,
  wanted: string | RegExp,
  name = "service",
): Promise<string> {
  for await (const log of runtime.logs(name, { follow: true })) {
    const text = textOf(log);
    if (typeof wanted === "string" ? text === wanted : wanted.test(text)) return text;
  }
  throw new Error(`${name} never wrote ${wanted}`);
}

/** The service's status when it is first in this state, now or later. */
function reaches(runtime: Runtime, state: RunState, name = "service"): Promise<RunStatus> {
  return until(runtime, (status) => status.state === state, name);
}

async function until(
  runtime: Runtime,
  wanted: (status: RunStatus) => boolean,
  name = "service",
): Promise<RunStatus> {
  const { promise, resolve } = deferred<RunStatus>();
  const forget = runtime.onChange((status) => {
    if (status.name === name && wanted(status)) resolve(status);
  });
  const now = await runtime.read(name);
  if (wanted(now)) resolve(now);
  try {
    return await promise;
  } finally {
    forget();
  }
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((given) => {
    resolve = given;
  });
  return { promise, resolve };
}

function states(runtime: Runtime): RunState[] {
  const seen: RunState[] = [];
  runtime.onChange(({ state }) => seen.push(state));
  return seen;
}

async function collect(logs: AsyncIterable<RunLog>): Promise<RunLog[]> {
  const all: RunLog[] = [];
  for await (const log of logs) all.push(log);
  return all;
}

function textOf(log: RunLog): string {
  return log.type === "line" ? log.text : `lost ${log.lines}`;
}

/** A process that has ended exists until its parent has reaped it. */
async function isGone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function fails(code: Code, run: () => Promise<unknown>): Promise<MicroError> {
  try {
    await run();
  } catch (reason) {
    assert.ok(reason instanceof MicroError, String(reason));
    assert.equal(reason.code, code, reason.message);
    return reason;
  }
  return assert.fail(`did not fail with ${code}`);
}
