import { MicroError } from "../base/error.ts";
import type { ConfigReader } from "./config.ts";

/**
 * The part of the Standard Schema specification (https://standardschema.dev, version 1) that a
 * reader needs.
 */
export interface StandardSchema<T> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>;
  };
}

/** The result of a schema's validation. */
export type StandardResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** A problem with a value, and its path. */
export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/**
 * Reads a value with a schema from zod, valibot, arktype or another library that implements
 * Standard Schema. A missing value is passed to the schema as undefined, so its defaults apply.
 * Schemas that validate asynchronously are rejected.
 */
export function schema<T>(standard: StandardSchema<T>): ConfigReader<T> {
  return (value, path) => {
    const result = standard["~standard"].validate(value);
    if (result instanceof Promise) {
      result.catch(() => {});
      throw new MicroError(
        "invalid_argument",
        `config ${path}: its schema validates asynchronously; use one that does not`,
      );
    }
    if (result.issues === undefined) return result.value;
    const issues = result.issues.map((issue) => {
      const at = (issue.path ?? []).map((part) =>
        String(typeof part === "object" ? part.key : part),
      );
      return `${[path, ...at].join(".")}: ${issue.message}`;
    });
    throw new MicroError("invalid_argument", `config ${issues.join("; ")}`);
  };
}
