/** The head of an HTTP/1.1 request to a method of the target. */
export function httpHead(method: string, ...lines: string[]): string {
  return [
    `POST /micro.attack.v1.TargetService/${method} HTTP/1.1`,
    "Host: localhost",
    ...lines,
    "",
    "",
  ].join("\r\n");
}

/** The head of a request of go-micro's protocol to a method of the target. */
export function goMicroHead(method: string, ...lines: string[]): string {
  return [
    "POST / HTTP/1.1",
    "Host: localhost",
    "Micro-Service: target",
    `Micro-Endpoint: TargetService.${method}`,
    "Micro-Id: 1",
    ...lines,
    "",
    "",
  ].join("\r\n");
}
