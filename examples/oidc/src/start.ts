import type { Logger } from "@micro-es/runtime";
import type { PageSettings } from "../page/sign-in.ts";
import { startNotes } from "./notes.ts";
import { audience, clientId, startProvider } from "./provider.ts";
import { startSite } from "./site.ts";

/** Ports of this machine; 0 for a free one. */
export interface Ports {
  readonly site: number;
  readonly provider: number;
  readonly notes: number;
}

/** The running example. */
export interface Example extends AsyncDisposable {
  /** Where the page is. */
  readonly url: string;
  readonly settings: PageSettings;
}

/** Starts the page, the provider and the service, each on an origin of its own. */
export async function startExample(ports: Ports, logger?: Logger): Promise<Example> {
  const site = await startSite(ports.site, () => settings);
  const redirectUri = `${site.url}/`;
  const provider = await startProvider({ port: ports.provider, redirectUri });
  const notes = await startNotes({
    address: `127.0.0.1:${ports.notes}`,
    issuer: provider.url,
    origin: site.url,
    ...(logger !== undefined && { logger }),
  });
  const settings: PageSettings = {
    issuer: provider.url,
    clientId,
    redirectUri,
    resource: audience,
    notesUrl: `http://${notes.server.addresses[0]}`,
  };
  return {
    url: redirectUri,
    settings,
    async [Symbol.asyncDispose]() {
      await notes.close();
      await provider.close();
      await site.close();
    },
  };
}
