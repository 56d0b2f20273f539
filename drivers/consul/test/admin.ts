/** What an operator does to Consul: requests to an agent's API, past the driver under test. */
export class ConsulAdmin {
  readonly #url: string;
  readonly #token: string;

  constructor(url: string, token = "") {
    this.#url = url;
    this.#token = token;
  }

  /** A service of the agent, as it describes it. */
  async service(id: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    const response = await this.#send("GET", `agent/service/${encodeURIComponent(id)}`, [404]);
    return response === undefined ? undefined : JSON.parse(response);
  }

  /** Registers a service at the agent. */
  async register(service: object): Promise<void> {
    await this.#send("PUT", "agent/service/register", [], service);
  }

  async deregister(id: string): Promise<void> {
    await this.#send("PUT", `agent/service/deregister/${encodeURIComponent(id)}`);
  }

  /** Writes a service of an agent that does not exist into the catalog, or removes it. */
  async catalog(change: "register" | "deregister", entry: object): Promise<void> {
    const agent = { Node: "elsewhere", Address: "127.0.0.1" };
    await this.#send("PUT", `catalog/${change}`, [], { ...agent, ...entry });
  }

  /** Writes services of that agent, which has to be in the catalog. */
  async registerMany(services: readonly object[]): Promise<void> {
    // A transaction has 64 operations at most.
    for (let from = 0; from < services.length; from += 64) {
      const operations = services.slice(from, from + 64).map((service) => {
        return { Service: { Verb: "set", Node: "elsewhere", Service: service } };
      });
      await this.#send("PUT", "txn", [], operations);
    }
  }

  /** The body of a GET. */
  async read(path: string): Promise<unknown> {
    return JSON.parse((await this.#send("GET", path)) ?? "null");
  }

  async put(path: string, body: object | string): Promise<string> {
    return (await this.#send("PUT", path, [], body)) ?? "";
  }

  async delete(path: string): Promise<void> {
    await this.#send("DELETE", path);
  }

  /** @returns the response's text; undefined for a status that is allowed. */
  async #send(
    method: string,
    path: string,
    allowed: readonly number[] = [],
    body?: object | string,
  ): Promise<string | undefined> {
    const response = await fetch(`${this.#url}/v1/${path}`, {
      method,
      headers: { "x-consul-token": this.#token },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.ok) return text;
    if (allowed.includes(response.status)) return undefined;
    throw new Error(`Consul responded ${response.status} to ${method} ${path}: ${text}`);
  }
}
