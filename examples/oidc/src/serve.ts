import { once } from "node:events";
import { startExample } from "./start.ts";

const first = Number(process.argv[2] ?? 8080);
await using example = await startExample({ site: first, provider: first + 1, notes: first + 2 });
const { issuer, notesUrl } = example.settings;
console.log(`the provider   ${issuer}`);
console.log(`the service    ${notesUrl}`);
console.log(`the page       ${example.url}   open this one; Ctrl-C stops`);
await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
