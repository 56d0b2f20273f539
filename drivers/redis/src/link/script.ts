import { createHash } from "node:crypto";

/** A Lua script, which a server executes at once and knows by its hash. */
export class Script {
  readonly source: string;
  readonly hash: string;

  constructor(source: string) {
    this.source = source;
    this.hash = createHash("sha1").update(source).digest("hex");
  }
}
