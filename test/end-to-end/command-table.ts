/** One run of a command of `micro` in a project whose service runs. */
export interface CommandRun {
  /** As the list of commands names it. */
  readonly command: string;
  /** What a shell is given. */
  readonly line: string;
  /** Has to be in what is shown, whether it is piped or on a terminal. */
  readonly shows: RegExp;
  /** Default 0. */
  readonly code?: number;
  /** The command keeps running: Ctrl-C is pressed when this is shown. */
  readonly until?: RegExp;
}

type Row = readonly [
  command: string,
  line: string,
  shows: RegExp,
  more?: Pick<CommandRun, "code" | "until">,
];

/**
 * Every command. A new one gets a row. Each row runs piped and on a terminal, and all in this
 * order, so that a row may build on those before it and must be repeatable.
 *
 * @param service name of the project and of its service, of the template `pubsub`
 */
export function commandRuns(service: string): readonly CommandRun[] {
  const topic = `${service.replaceAll("-", "_")}.greeted`;
  const inMemory = /in its own memory.*MICRO_BACKEND/;
  const noDeadLetters = /does not store dead letters.*JetStream/;
  const node = new RegExp(`= ${service}-`);
  const ours = new RegExp(`^${service} `, "m");
  const rows: readonly Row[] = [
    ["new", "micro new spare && rm -r spare", /spare was created, \d+ files/],
    ["run", "MICRO_ADDRESS=127.0.0.1:0 micro run", /has stopped/, { until: /server listens/ }],
    ["generate", "micro generate", /generated in src\/gen/],
    ["scaffold", "micro scaffold --check", /every method has a handler/],
    ["templates eject", "micro templates eject service/main.ts --force", /main\.ts\.hbs/],
    [
      "check",
      "micro check --skip schema",
      /✓ generated code[\s\S]*✓ handlers[\s\S]*- schema left out/,
    ],
    ["lint", "micro lint", /no findings/],
    ["breaking", "micro breaking --live", /✓ \S+Service, as served by .*, is the same/],
    ["services", "micro services", ours],
    ["registry watch", `micro registry watch ${service}`, node, { until: node }],
    ["describe", `micro describe ${service}`, /rpc Hello\(/],
    ["call", `micro call ${service} Hello '{"name":"Ada"}'`, /Hello Ada/],
    ["health", `micro health ${service}`, /serving/],
    ["stats", `micro stats ${service}`, /Service\/Hello/],
    ["logs", `micro logs ${service}`, /the server listens/],
    ["pub", `micro pub ${topic} '{"name":"Ada"}'`, /published to/],
    ["sub", `micro sub ${topic}`, /subscribed to/, { until: /subscribed to/ }],
    ["dlq ls", "micro dlq ls", noDeadLetters, { code: 2 }],
    ["dlq show", "micro dlq show a.dead 1", noDeadLetters, { code: 2 }],
    ["dlq replay", "micro dlq replay a.dead 1", noDeadLetters, { code: 2 }],
    ["dlq drop", "micro dlq drop a.dead 1", noDeadLetters, { code: 2 }],
    ["store set", "micro store set a b", inMemory, { code: 2 }],
    ["store get", "micro store get a", inMemory, { code: 2 }],
    ["store ls", "micro store ls", inMemory, { code: 2 }],
    ["store rm", "micro store rm a", inMemory, { code: 2 }],
    ["config get", "micro config get MICRO_ADDRESS", /127\.0\.0\.1:0/],
    ["config dump", "micro config dump --sources", /MICRO_STORE +memory: +default/],
    ["lock ls", "micro lock ls", /in its own memory.*MICRO_SYNC/, { code: 2 }],
    ["leader ls", "micro leader ls", /in its own memory.*MICRO_SYNC/, { code: 2 }],
    ["auth dev", "micro auth dev orders --scopes a.read", /\.micro\/access\/orders\.token/],
    ["auth account", "micro auth account order", inMemory, { code: 2 }],
    ["auth token", "micro auth token order --secret-file package.json", inMemory, { code: 2 }],
    ["auth grant", "micro auth grant r1 'acme.*'", inMemory, { code: 2 }],
    ["auth revoke", "micro auth revoke rule r1", inMemory, { code: 2 }],
    ["auth list", "micro auth list", inMemory, { code: 2 }],
    ["auth whoami", "micro auth whoami", /developer +development/],
    ["auth rotate", "micro auth rotate", inMemory, { code: 2 }],
    ["context set", "micro context set spare MICRO_REGISTRY=memory", /spare was saved/],
    ["context ls", "micro context ls", /spare +MICRO_REGISTRY=memory/],
    ["context use", "micro context use spare", /commands use spare/],
    ["context rm", "micro context use && micro context rm spare", /spare was deleted/],
    ["doctor", "micro doctor", /✓ protoc-gen-micro/],
    ["completion", "micro completion bash", /_micro/],
  ];
  return rows.map(runOf);
}

/**
 * Likely mistakes, which are reported in the same words on a terminal.
 *
 * The environment has in `TAKEN` an address that is in use.
 */
export function mistakes(service: string): readonly CommandRun[] {
  const rows: readonly Row[] = [
    ["call", "micro call my-pubsb Hello '{}'", new RegExp(`there are: ${service}`), { code: 2 }],
    [
      "call",
      `micro call ${service} Hello '{"nme":1}'`,
      /at nme: .*did you mean name\?/,
      { code: 2 },
    ],
    [
      "new",
      `${brokenTemplate} micro new spare`,
      /main\.ts\.hbs:2: the template is broken/,
      { code: 2 },
    ],
    [
      "run",
      `MICRO_ADDRESS=$TAKEN micro run`,
      /cannot listen at .*another address/,
      { until: /cannot listen/ },
    ],
    [
      "services",
      "MICRO_BACKEND=nats://127.0.0.1:9 micro services",
      /MICRO_BACKEND=nats:\/\/127\.0\.0\.1:9 needs the driver .*npm i @micro-es\/nats/,
      { code: 64 + 3 },
    ],
  ];
  return rows.map(runOf);
}

function runOf([command, line, shows, more]: Row): CommandRun {
  return { command, line, shows, ...more };
}

/**
 * Puts a template of the user's with an error in its second line into a folder of its own, and goes
 * there.
 */
const brokenTemplate =
  "cd $(mktemp -d) && mkdir -p .micro/templates/service && printf 'a line\\n{{#if name}\\n' >.micro/templates/service/main.ts.hbs &&";
