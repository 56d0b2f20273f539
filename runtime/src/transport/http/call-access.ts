import type { WebAccess } from "../../base/web-access.ts";
import { HeaderField } from "../http2/hpack/header-field.ts";
import { corsLines } from "./cors.ts";
import type { RpcRequest } from "./rpc-request.ts";
import type { HttpServeOptions } from "./serve-options.ts";

const noFields: readonly HeaderField[] = [];

/**
 * Returns the fields that the header of a call's response needs for web pages; undefined if the
 * host or the page that it names is refused, which the request handler does.
 */
export function accessFields(
  { hosts, origin, fetchSite }: RpcRequest,
  access: WebAccess,
  options: HttpServeOptions,
): readonly HeaderField[] | undefined {
  if (hosts.some((host) => access.hostRefusal(host) !== undefined)) return undefined;
  if (access.originRefusal({ host: hosts[0], origin, fetchSite }) !== undefined) return undefined;
  if (options.cors === undefined) return noFields;
  const lines = corsLines(options.cors, origin, false);
  return lines.map(([line, value]) => new HeaderField(line, value));
}
