import { encode, RECURSION_DESIRED } from "dns-packet";

/** The types of records that are asked for. */
export type QuestionType = "SRV" | "A" | "AAAA";

/** What a DNS server is asked. */
export interface Question {
  /** Without a trailing dot, in lower case; see {@link isDomainName}. */
  readonly name: string;
  readonly type: QuestionType;
}

/**
 * Encodes a query for a resolver.
 * @param ednsBytes the largest response by UDP that is accepted, sent as EDNS (RFC 6891); undefined
 * for a server that does not know EDNS.
 */
export function encodeQuery(
  { name, type }: Question,
  id: number,
  ednsBytes: number | undefined,
): Buffer {
  return encode({
    type: "query",
    id,
    flags: RECURSION_DESIRED,
    questions: [{ type, name, class: "IN" }],
    ...(ednsBytes !== undefined && {
      additionals: [
        {
          type: "OPT",
          name: ".",
          udpPayloadSize: ednsBytes,
          extendedRcode: 0,
          ednsVersion: 0,
          flags: 0,
          flag_do: false,
          options: [],
        },
      ],
    }),
  });
}

/** Whether a name can be asked for: labels of at most 63 of a-z, 0-9, `-` and `_`, 253 in all. */
export function isDomainName(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/.test(name);
}
