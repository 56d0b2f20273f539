import {
  checkOptions,
  durationMs,
  type OptionKindsOf,
  oneOf,
  required,
  text,
} from "../../base/option-check.ts";
import type { RunSpec } from "../runtime.ts";

const longestName = 128;

const isText = (value: unknown) => typeof value === "string" && !value.includes("\0");

const specKinds: OptionKindsOf<RunSpec> = {
  name: required({
    words: `text of 1 to ${longestName} characters, none of them a control character`,
    accepts: (value) =>
      text.accepts(value) &&
      (value as string).length <= longestName &&
      !/\p{Cc}/u.test(value as string),
  }),
  command: required({
    words:
      'a program and its arguments as a list of strings without NUL, for example ["node", "a.js"]',
    accepts: (value) => Array.isArray(value) && text.accepts(value[0]) && value.every(isText),
  }),
  folder: text,
  environment: {
    words: 'an object of strings without NUL by names without "=", for example { PORT: "80" }',
    accepts: (value) =>
      typeof value === "object" &&
      value !== null &&
      Object.entries(value).every(
        ([name, it]) => /^[^=\0]+$/.test(name) && (it === undefined || isText(it)),
      ),
  },
  restart: oneOf("always", "on-failure", "never"),
  graceMs: durationMs(0),
  readyText: text,
};

/** @throws MicroError `invalid_argument` when no process can be started from the spec. */
export function checkSpec(spec: RunSpec): void {
  checkOptions(() => `run the service ${JSON.stringify(spec.name)}`, spec, specKinds);
}
