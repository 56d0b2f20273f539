import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { globSync } from "tinyglobby";
import { describe, expect, onTestFinished, test } from "vitest";
import { inCi } from "../../test/support/long.ts";
import { survivors } from "../../test/support/survivors.ts";
import { micro } from "./support/micro.ts";
import { startRun } from "./support/running.ts";
import { folderWith, installInto, plainService } from "./support/workspace.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: searches for escape sequences of colours
const colour = /\u001b\[\d+m/;
const ctrlC = "\u0003";
const run = { run: "node main.js" };
const module = { type: "module" };
const env = { MICRO_ADDRESS: "127.0.0.1:0", MICRO_REGISTRY: "memory", MICRO_LOG_LEVEL: "info" };

function scratch(files: Readonly<Record<string, string | object>>): string {
  const folder = folderWith(files);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A web front, which needs the cart, which needs the orders through a library, and a tool. */
function shop(): string {
  const depends = (...names: string[]) => ({
    dependencies: Object.fromEntries(
      ["@micro-es/runtime", ...names.map((name) => `@shop/${name}`)].map((name) => [name, "*"]),
    ),
  });
  const service = (name: string, ...needs: string[]) => ({
    [`services/${name}/package.json`]: {
      name: `@shop/${name}`,
      ...module,
      micro: run,
      ...depends(...needs),
    },
    [`services/${name}/main.js`]: plainService,
    [`services/${name}/main.test.js`]: "",
  });
  return scratch({
    "package.json": {
      name: "shop",
      workspaces: ["services/*", "libs/*"],
      scripts: { start: "micro run" },
    },
    ...service("web", "cart"),
    ...service("cart", "prices"),
    ...service("orders"),
    "libs/prices/package.json": { name: "@shop/prices", ...module, ...depends("orders") },
    "libs/prices/index.js": "export const one = 1;",
    "libs/tool/package.json": { name: "@shop/tool" },
  });
}

describe("micro run", () => {
  test("starts a workspace in the order of its dependencies, and drains it in reverse", async () => {
    const running = startRun([], { cwd: shop() });
    await running.says("runs orders, cart, web; Ctrl-C stops");
    for (const name of ["orders", "cart", "web"]) await running.says(`${name.padEnd(6)} | up`);
    process.kill(running.pid, "SIGINT");
    expect(await running.ended).toBe(130);
    const after = running.output.slice(running.output.indexOf("stopping; Ctrl-C"));
    const stopped = [...after.matchAll(/^micro {2}\| (\w+) has stopped$/gm)].map(
      ([, name]) => name,
    );
    expect(stopped).toEqual(["web", "cart", "orders"]);
    for (const name of ["orders", "cart", "web"])
      expect(after).toContain(`${name.padEnd(6)} | drains`);
    expect(running.output).not.toMatch(colour);
    expect(survivors(running.family)).toEqual([]);
  });

  test.each([
    ["pnpm", "", "packages:\n  - .\n  - 'services/*' # all\n  - '!services/old'\n"],
    ["pnpm without a package.json", undefined, "packages: ['services/**']\n"],
    ["yarn", { packages: ["services/*", "!services/old"], nohoist: [] }, undefined],
    ["npm together with settings of pnpm", ["services/*"], "nodeLinker: hoisted\n"],
  ])("runs a workspace of %s", async (_, workspaces, pnpm) => {
    const service = { ...module, ...run };
    const folder = scratch({
      ...(workspaces === undefined
        ? {}
        : { "package.json": { name: "all", ...(workspaces === "" ? {} : { workspaces }) } }),
      ...(pnpm === undefined ? {} : { "pnpm-workspace.yaml": pnpm }),
      "services/cart/package.json": {
        name: "cart",
        micro: service,
        dependencies: { "@shop/orders": "workspace:*" },
      },
      "services/cart/main.js": `console.log("cart is up")`,
      "services/orders/package.json": { name: "@shop/orders", micro: service },
      "services/orders/main.js": `console.log("orders is up")`,
    });
    const { stdout, stderr, code } = await micro(["run", "--no-watch"], { cwd: folder });
    expect(stdout + stderr).toContain("runs orders, cart; Ctrl-C stops");
    expect(stdout).toContain("orders is up");
    expect(code).toBe(0);
    const inMember = await micro(["run", "--no-watch"], { cwd: join(folder, "services/cart") });
    expect(inMember.stdout).toContain("cart is up");
  });

  test("reports an invalid pnpm-workspace.yaml", async () => {
    const folder = scratch({ "package.json": {}, "pnpm-workspace.yaml": "packages: [" });
    const { stderr, code } = await micro(["run"], { cwd: folder });
    expect(stderr).toMatch(/pnpm-workspace\.yaml is not valid YAML: /);
    expect(code).toBe(2);
  });

  test("does not restart a service that watches its configuration file, and restarts others", async () => {
    const folder = scratch({
      "package.json": { name: "shop", ...module, micro: run },
      "config.yaml": "port: 1\n",
      "data.yaml": "a: 1\n",
      "main.js": `import { fileSource, loadConfig } from "@micro-es/runtime";
const config = await loadConfig([fileSource("config.yaml")]);
console.log("port", config.snapshot.port ?? config.get("port", (value) => value));
for await (const { snapshot } of config.watch()) console.log("reloaded", JSON.stringify(snapshot ?? {}));
`,
    });
    installInto(folder);
    const temporary = scratch({});
    const running = startRun([], { cwd: folder, env: { ...env, TMPDIR: temporary } });
    await running.says("port 1");
    const announced = () =>
      globSync("micro-run-*/shop.txt", { cwd: temporary }).map((file) =>
        readFileSync(join(temporary, file), "utf8"),
      );
    await expect.poll(announced).toEqual([expect.stringContaining("/config.yaml\n")]);
    writeFileSync(join(folder, "config.yaml"), "port: 2\n");
    await running.says("config.yaml changed; shop reloads it without a restart");
    writeFileSync(join(folder, "data.yaml"), "a: 2\n");
    await running.says("data.yaml changed");
    await running.says("port 2");
    expect(running.output).not.toContain("restarts shop: config.yaml changed");
    process.kill(running.pid, "SIGINT");
    await running.ended;
    expect(globSync("micro-run-*/*", { cwd: temporary })).toEqual([]);
  });

  test("uses colours in a terminal, where Ctrl-C drains", async () => {
    const running = startRun(["services/web"], {
      cwd: shop(),
      terminal: true,
      env: { FORCE_COLOR: "" },
    });
    await running.says("\u001b[36mweb   | \u001b[0mup");
    running.type(ctrlC);
    await running.says("drains");
    await running.says("has stopped");
    expect(await running.ended).toBe(130);
    expect(survivors(running.family)).toEqual([]);
  });

  test("kills services that do not drain at the second Ctrl-C", async () => {
    const deaf = `process.on("SIGTERM", () => console.log("no")); ${plainService}`;
    const cwd = scratch({
      "package.json": { name: "deaf", ...module, micro: run },
      "main.js": deaf.replaceAll("process.exit(0)", "0"),
    });
    const running = startRun([], { cwd, terminal: true });
    await running.says("up");
    running.type(ctrlC);
    await running.says("no");
    // A person's second, and not the first one passed on by npm.
    await sleep(400);
    running.type(ctrlC);
    expect(await running.ended).toBe(130);
    expect(survivors(running.family)).toEqual([]);
  });

  test("leaves no process when it is killed", async () => {
    const cwd = shop();
    const child = `import { spawn } from "node:child_process"; spawn("sleep", ["1000"]); ${plainService}`;
    writeFileSync(join(cwd, "services/cart/main.js"), child);
    const daemon = "(setsid sleep 1000 &); exec node main.js";
    writeFileSync(
      join(cwd, "services/web/package.json"),
      JSON.stringify({ name: "web", ...module, micro: { run: daemon } }),
    );
    const running = startRun([], { cwd });
    for (const _ of ["orders", "cart", "web"]) await running.says("| up");
    // Itself, its guard, three services, a child and a daemon.
    expect(survivors(running.family).length).toBeGreaterThanOrEqual(7);
    process.kill(running.pid, "SIGKILL");
    await expect.poll(() => survivors(running.family)).toEqual([]);
  });

  test("reports everything as JSON, one object per line", async () => {
    const running = startRun(["--json", "--no-watch"], {
      cwd: scratch({ "package.json": { name: "brief", micro: { run: "echo out; echo err >&2" } } }),
    });
    expect(await running.ended).toBe(0);
    const entries = running.output
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const logs = entries.filter(({ type }) => type === "log");
    expect(logs).toContainEqual(
      expect.objectContaining({ service: "brief", stream: "stdout", text: "out" }),
    );
    expect(logs).toContainEqual(
      expect.objectContaining({ service: "brief", stream: "stderr", text: "err" }),
    );
    const states = entries.filter(({ type }) => type === "status").map(({ state }) => state);
    expect(states.slice(0, 3)).toEqual(["starting", "running", "stopped"]);
    for (const { time } of entries) expect(time).toMatch(/^\d{4}-.*Z$/);
  });

  test("restarts the services that use a changed file, and names it", async () => {
    const cwd = shop();
    const running = startRun([], { cwd });
    for (const _ of ["orders", "cart", "web"]) await running.says("| up");
    const touch = (path: string, text: string) => writeFileSync(join(cwd, path), text);
    // Neither a test, nor what no service runs, nor a file with the text that it had.
    touch("services/cart/main.test.js", "changed");
    touch("services/cart/notes.txt", "changed");
    touch("services/orders/main.js", plainService);
    touch("services/web/main.js", `${plainService}// changed`);
    await running
      .says(/restarts (.*)\n/)
      .then(([, what]) => expect(what).toBe("web: services/web/main.js changed"));
    await running.says("web    | up");
    touch("libs/prices/index.js", "export const one = 2;");
    await running.says("restarts cart, web: libs/prices/index.js changed");
    expect(running.output).not.toMatch(/orders: |restarts .*orders/);
    // A command that changed is the new one.
    touch(
      "services/orders/package.json",
      JSON.stringify({ name: "@shop/orders", micro: { run: "echo new command; exec sleep 60" } }),
    );
    await running.says("restarts orders: services/orders/package.json changed");
    await running.says("orders | new command");
  });

  test("reports a crash loop, and restarts the service at once when its code is fixed", async () => {
    const cwd = scratch({
      "package.json": { name: "shaky", ...module, micro: run },
      "main.js": "process.exit(3)",
    });
    const running = startRun([], { cwd });
    await running.says(/shaky ended with status 3; restarting in \d\.\d s/);
    await running.says(
      /shaky is in a crash loop: 5 failures in a row, the last one ended with status 3; /,
    );
    writeFileSync(join(cwd, "main.js"), plainService);
    await running.says("restarts shaky: main.js changed");
    await running.says("shaky | up");
  });

  test("reports a port in use", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    const main = `import { createServer } from "node:net"; createServer().listen(${port}, "127.0.0.1");`;
    const running = startRun([], {
      cwd: scratch({ "package.json": { name: "late", ...module, micro: run }, "main.js": main }),
    });
    await running.says(
      `late ended with status 1: 127.0.0.1:${port} is taken; \`lsof -i :${port}\` shows the process; restarting in`,
    );
  });

  test("refuses folders that cannot be run, and says why", async () => {
    const cwd = shop();
    const fails = async (...words: string[]) => {
      const { stderr, code } = await micro(["run", ...words], { cwd });
      expect(code).toBe(2);
      return stderr;
    };
    expect(await fails("nowhere")).toMatch(
      /there is no package.json in .*nowhere; `micro new` creates/,
    );
    expect(await fails("libs/prices")).toMatch(
      /@shop\/prices in .* is not a service: it needs a "start"/,
    );
    const write = (name: string, more: object) =>
      writeFileSync(
        join(cwd, `services/${name}/package.json`),
        JSON.stringify({ name: `@shop/${name}`, micro: run, ...more }),
      );
    write("orders", { dependencies: { "@shop/web": "*" } });
    expect(await fails()).toMatch(
      /services depend on each other in a circle: cart -> orders -> web -> cart; "micro"/,
    );
    write("orders", { micro: { ...run, after: ["crat"] } });
    expect(await fails()).toMatch(
      /"micro.after" of .*orders\/package.json names crat, which is not a package here/,
    );
    write("orders", { micro: { run: 3 } });
    expect(await fails()).toMatch(/"micro.run" of .*orders\/package.json must be a command/);
    writeFileSync(join(cwd, "services/orders/package.json"), "{");
    expect(await fails()).toMatch(/orders\/package.json is not valid JSON: /);
  });
});

describe("micro run in a new project", () => {
  async function newProject(kind: string): Promise<string> {
    const cwd = scratch({});
    expect((await micro(["new", "my-shop", "--template", kind], { cwd })).code).toBe(0);
    const project = join(cwd, "my-shop");
    installInto(project);
    return project;
  }

  test("on a terminal restarts it when its code or schema changes, and drains at Ctrl-C", async () => {
    const project = await newProject("service");
    const running = startRun([], { cwd: project, env: { ...env, NO_COLOR: "1" }, terminal: true });
    await running.says("generated in .");
    await running.says("the server listens");
    await changesSchema(project, running);
    running.type(ctrlC);
    await running.says("stopping; Ctrl-C again kills");
    await running.says("the service has stopped");
    await running.says("my-shop has stopped");
    expect(await running.ended).toBe(130);
    expect(survivors(running.family)).toEqual([]);
  });

  test.each(inCi ? ["service", "pubsub", "fullstack"] : ["service"])("runs a %s", async (kind) => {
    const project = await newProject(kind);
    if (kind === "fullstack") {
      const main = join(project, "src/main.ts");
      writeFileSync(main, readFileSync(main, "utf8").replace("serveWeb(3000)", "serveWeb(0)"));
    }
    const running = startRun([], { cwd: project, env });
    await running.says("generated in .");
    await running.says("the server listens");
    if (kind === "service") await changesSchema(project, running);
    process.kill(running.pid, "SIGINT");
    await running.says("the service has stopped");
    expect(await running.ended).toBe(130);
    expect(running.output).not.toContain("second stop signal");
    expect(survivors(running.family)).toEqual([]);
  });

  async function changesSchema(
    project: string,
    running: ReturnType<typeof startRun>,
  ): Promise<void> {
    const proto = join(project, "proto/my_shop/v1/my_shop.proto");
    const before = readFileSync(proto, "utf8");
    writeFileSync(proto, before.replace("string name = 1;", "string name = 1"));
    await running.says(
      /buf generate fails[\s\S]*my_shop\.proto:\d+:\d+[\s\S]*services keep running with the code generated before/,
    );
    expect(running.output).not.toContain("restarts");
    writeFileSync(proto, `${before}\nmessage More {}\n`);
    await running.says("generated in .: proto/my_shop/v1/my_shop.proto changed");
    await running.says("restarts my-shop: proto/my_shop/v1/my_shop.proto changed");
    await running.says("the server listens");
    // White space generates the same.
    writeFileSync(proto, `${before}\n\nmessage More {}\n\n`);
    await running.says("my_shop.proto changed, but no generated code did; nothing restarts");
    writeFileSync(
      join(project, "src/my-shop-service.ts"),
      readFileSync(join(project, "src/my-shop-service.ts"), "utf8").replace("Hello $", "Hallo $"),
    );
    await running.says("restarts my-shop: src/my-shop-service.ts changed");
    await running.says("the server listens");
  }
});
