import { createHash, timingSafeEqual } from "node:crypto";
import { MicroError } from "../base/error.ts";
import { isLocalAddress } from "../base/local-address.ts";
import type { CallContext } from "../call/call.ts";
import type { DebuggedService } from "./debug.ts";

/**
 * Logs contain what callers must not see. So logs and everything else the debug service reports are
 * for callers with its token. Without a token they are for this machine only, and only if the
 * service cannot be reached from elsewhere.
 */

/** Headers added by proxies. A proxied call from this machine may originate anywhere. */
const proxied = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];

const remedy =
  "set MICRO_DEBUG_TOKEN, to the same text for the service and for `micro`, or have callers send it as `authorization: Bearer …`";

/** Decides who may call a debug service. */
export class DebugAccess {
  readonly #service: DebuggedService;
  readonly #token: Buffer | undefined;
  #refused = false;

  constructor(service: DebuggedService, token: string | undefined) {
    this.#service = service;
    this.#token = token === undefined ? undefined : digest(token);
  }

  /**
   * @throws MicroError `unauthenticated` for a wrong or missing token, `permission_denied` if a
   * token has to be configured first.
   */
  check({ requestMetadata, account }: CallContext): void {
    // The server has auth, which has verified that the account has the scope of this service.
    if (account !== undefined) return;
    const { name, server } = this.#service;
    if (this.#token !== undefined) {
      const given = requestMetadata.get("authorization");
      const [, token = ""] = /^Bearer +(\S+)$/i.exec(typeof given === "string" ? given : "") ?? [];
      if (timingSafeEqual(digest(token), this.#token)) return;
      this.#refuse("a caller without the token");
      throw new MicroError(
        "unauthenticated",
        `the debug service of ${name} needs its token: ${remedy}`,
      );
    }
    const open = server.addresses.find((address) => !isLocalAddress(address));
    if (open !== undefined) {
      this.#refuse("no token is set, and other machines reach the service");
      throw new MicroError(
        "permission_denied",
        `the debug service of ${name} needs a token, because other machines reach ${open}: ${remedy}`,
      );
    }
    if (proxied.some((header) => requestMetadata.get(header) !== undefined)) {
      this.#refuse("no token is set, and the call came by a proxy");
      throw new MicroError(
        "permission_denied",
        `the debug service of ${name} requires a token for calls through a proxy: ${remedy}`,
      );
    }
  }

  /** Logged once, so that repeated calls cannot fill the log. */
  #refuse(why: string): void {
    if (this.#refused) return;
    this.#refused = true;
    this.#service.logger.warn(
      { service: this.#service.name, why },
      "refused to show the log and figures of this process; MICRO_DEBUG_TOKEN sets a token for that",
    );
  }
}

/** Equally long for all texts, so that the comparison takes constant time. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
