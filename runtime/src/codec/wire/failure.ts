import type { WriteMessage } from "./writer.ts";
import { Writer } from "./writer.ts";

/**
 * Finds the field at which writing a message fails, such as `.lines[2].amount`. The message is
 * written once more, through a proxy that records reads; so codecs carry no names for their errors
 * and pay nothing for them.
 */
export function pathOfFailure<M>(write: WriteMessage<M>, message: M): string {
  let path = "";
  const watch = (value: unknown, at: string): unknown => {
    if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
    return new Proxy(value, {
      get(target, key) {
        const found: unknown = Reflect.get(target, key);
        const isList = Array.isArray(target);
        // For a non-array, the type is the problem, not the length.
        if (key === "length" && (isList || found === undefined)) return found;
        if (typeof key === "symbol") return found;
        path = at + (isList ? `[${key}]` : `.${key}`);
        return watch(found, path);
      },
    });
  };
  try {
    write(watch(message, "") as M, new Writer(new Uint8Array(0)), 0);
  } catch {
    return path;
  }
  // It did not fail again, for example because a getter returned another value.
  return "";
}
