import type { IncomingMessage } from "node:http";

/**
 * Returns the path of a target that is a URL, as clients send it to a proxy that passes it on, and
 * any other target as it is. So is a URL for another host than that of the line `host`: a proxy may
 * have read one of the two, and the request is for nothing here.
 */
export function originForm({ url = "", headers }: IncomingMessage): string {
  if (url.startsWith("/")) return url;
  const [, authority, path = ""] = /^https?:\/\/([^/?#]+)(.*)$/i.exec(url) ?? [];
  if (authority === undefined || authority.toLowerCase() !== headers.host?.toLowerCase())
    return url;
  return path.startsWith("/") ? path : `/${path}`;
}
