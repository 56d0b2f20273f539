import { type TlsIdentity, tcpTransport } from "@micro-es/runtime";
import { certificateAuth } from "@micro-es/runtime/auth";
import { TestAuthority } from "../support/certificates.ts";
import type { Contender } from "./contender.ts";
import * as generated from "./gen/micro/bench/v1/bench_micro.ts";
import { callOver, type Setup, serveOn } from "./micro-es.ts";

/** What the calling side needs, as the text that it is started with. */
interface Meeting {
  readonly address: string;
  readonly client: TlsIdentity;
}

/**
 * Native calls over TLS.
 *
 * @param identifies whether the client has a certificate, whose SPIFFE id is the account of each
 * call
 */
export function overTls(name: string, about: string, identifies: boolean): Contender {
  return {
    name,
    about,
    async serve() {
      using authority = new TestAuthority();
      const { ca } = authority;
      const identity = authority.issue({ names: ["IP:127.0.0.1"] });
      const server = await serveOn({
        generated,
        transport: tcpTransport({
          tls: { server: { identity, ...(identifies && { clientCertificate: "required" }) } },
        }),
        ...(identifies && { auth: certificateAuth({ bundles: { "bench.example": ca } }) }),
      });
      const own = identifies
        ? authority.issue({ names: ["URI:spiffe://bench.example/bench"] })
        : {};
      const meeting: Meeting = { address: server.address, client: { ca, ...own } };
      return { address: JSON.stringify(meeting), close: () => server.close() };
    },
    connect(text) {
      const { address, client } = JSON.parse(text) as Meeting;
      const setup: Setup = {
        generated,
        transport: tcpTransport({ tls: { client: { identity: client } } }),
      };
      return callOver(setup, address);
    },
  };
}
