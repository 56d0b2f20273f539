import { syncAt } from "./server.ts";

/** Takes a lock and keeps it until it is killed. */
const { url, id, ttlMs } = JSON.parse(process.argv[2] ?? "{}") as {
  url: string;
  id: string;
  ttlMs: number;
};
await syncAt(url).lock(id, { ttlMs });
process.stdout.write("held\n");
setInterval(() => {}, 60_000);
