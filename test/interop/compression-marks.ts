/** The expected compression marks of a case's messages, by call. */
export interface WantedMarks {
  readonly requests?: readonly (readonly boolean[])[];
  readonly answers?: readonly (readonly boolean[])[];
  /** The first call, which probes whether the server sees compression, and is refused. */
  readonly probe?: readonly boolean[];
}

/**
 * The expected wire contents of the compression cases (doc/interop-test-descriptions.md of gRPC).
 */
export const wantedMarks: Readonly<Record<string, WantedMarks>> = {
  client_compressed_unary: { requests: [[true], [false]], probe: [false] },
  server_compressed_unary: { answers: [[true], [false]] },
  client_compressed_streaming: { requests: [[true, false]], probe: [false] },
  server_compressed_streaming: { answers: [[true, false]] },
};

/** The deviation of the observed marks from those of a case; undefined if there is none. */
export function wrongMarks(
  name: string,
  probe: boolean,
  seen: { readonly requests: boolean[][]; readonly answers: boolean[][] },
): string | undefined {
  const wanted = wantedMarks[name];
  if (wanted === undefined) return undefined;
  const requests = wanted.requests && [
    ...(probe && wanted.probe !== undefined ? [wanted.probe] : []),
    ...wanted.requests,
  ];
  return (
    differ("requests", requests, seen.requests) ?? differ("answers", wanted.answers, seen.answers)
  );
}

function differ(
  what: string,
  wanted: readonly (readonly boolean[])[] | undefined,
  seen: readonly (readonly boolean[])[],
): string | undefined {
  if (wanted === undefined || JSON.stringify(wanted) === JSON.stringify(seen)) return undefined;
  return `compressed ${what} on the wire: ${JSON.stringify(seen)}, wanted ${JSON.stringify(wanted)}`;
}
