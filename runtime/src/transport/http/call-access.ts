import type { WebAccess } from "../../base/web-access.ts";
import { HeaderField } from "../http2/hpack/header-field.ts";
import { corsLines } from "./cors.ts";
import type { HttpServeOptions } from "./request-handler.ts";
import type { RpcRequest } from "./rpc-request.ts";

const noFields: readonly HeaderField[] = [];

/**
 * Returns the fields that the header of a call's response needs for web pages; undefined if the
 * call is refused, or served by something else, which the request handler does.
 *
 * @param isMounted whether a mounted router serves a path
 */
export function responseFieldsFor(
  { protocol, name, hosts, origin, fetchSite }: RpcRequest,
  access: WebAccess,
  options: HttpServeOptions,
  isMounted: (path: string) => boolean,
): readonly HeaderField[] | undefined {
  if (options[protocol] === false || isMounted(`/${name}`)) return undefined;
  if (hosts.some((host) => access.hostRefusal(host) !== undefined)) return undefined;
  if (access.originRefusal({ host: hosts[0], origin, fetchSite }) !== undefined) return undefined;
  if (options.cors === undefined) return noFields;
  const lines = corsLines(options.cors, origin, false);
  return lines.map(([line, value]) => new HeaderField(line, value));
}
