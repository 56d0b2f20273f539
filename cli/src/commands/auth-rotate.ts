import { aboutStore, issuerOption, openAuth, requireIssuer } from "../auth/open-auth.ts";
import { type Command, defineCommand } from "../command.ts";

export const command: Command = defineCommand({
  arguments: [],
  options: { ...issuerOption },
  details: `Publishes the next key of the issuer. It signs ten minutes later, when every service has read it, as soon as one\nof the services is there to notice; tokens signed by the key before stay valid until their end. Keys rotate by\nthemselves every 30 days; a key that others know is removed by micro auth revoke key. MICRO_AUTH_KEY is needed where\nthe keys in the store are wrapped.\n${aboutStore}`,
  examples: [["micro auth rotate", "the id of the next key"]],
  async run({ options, output, environment }) {
    output.progress("publishing the next key");
    await using opened = await openAuth(environment, options.issuer);
    requireIssuer(opened);
    const { id, activeAtMs } = await opened.auth.rotate();
    const activeAt = new Date(activeAtMs).toISOString();
    output.result({ id, activeAt }, () => id);
    output.note(`it signs from ${activeAt} on`);
  },
});
