import type { Contender } from "../contender.ts";
import { overTls } from "../over-tls.ts";

export const contender: Contender = overTls("tls", "as nothing, over TLS", false);
