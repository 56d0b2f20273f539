import type { Contender } from "../contender.ts";
import { overTls } from "../over-tls.ts";

export const contender: Contender = overTls(
  "certificate",
  "as tls, with the SPIFFE id of the client's certificate as the account of each call",
  true,
);
