import { natsSync } from "@micro-es/nats";

/** Takes a lock and keeps it until it is killed. */
const { servers, id, ttlMs } = JSON.parse(process.argv[2] ?? "{}") as {
  servers: string;
  id: string;
  ttlMs: number;
};
await natsSync({ servers }).lock(id, { ttlMs });
process.stdout.write("held\n");
setInterval(() => {}, 60_000);
