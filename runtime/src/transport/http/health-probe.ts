import type { HttpRequest, HttpResponse } from "./request.ts";

/** Whether this process responds at all. An orchestrator restarts a process that does not. */
const livenessPath = "/healthz";
/** Whether this process should get new calls. */
const readinessPath = "/readyz";

/**
 * Responds to a health probe of an orchestrator or a load balancer.
 *
 * @param notReady why the server should get no new calls; undefined when it is ready
 * @returns false when the request is not a health probe
 */
export function respondToProbe(
  request: HttpRequest,
  response: HttpResponse,
  path: string,
  notReady: () => string | undefined,
): boolean {
  if (path !== livenessPath && path !== readinessPath) return false;
  if (request.method !== "GET" && request.method !== "HEAD") return false;
  const reason = path === livenessPath ? undefined : notReady();
  const body = `${reason ?? "ok"}\n`;
  response.writeHead(reason === undefined ? 200 : 503, {
    "content-type": "text/plain; charset=utf-8",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
  });
  response.end(request.method === "HEAD" ? "" : body);
  return true;
}
