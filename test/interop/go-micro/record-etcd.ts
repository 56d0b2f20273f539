import { Buffer } from "node:buffer";

/** A change of a key in etcd. */
export interface RecordedChange {
  readonly type: "put" | "delete";
  readonly key: string;
  /** Null after a deletion. */
  readonly value: string | null;
  /** Whether the key ends with a lease. */
  readonly leased: boolean;
}

interface WatchEvent {
  readonly type?: string;
  readonly kv: { readonly key: string; readonly value?: string; readonly lease?: string };
}

/** Records the changes of the keys with a prefix, whose last character is ASCII, until its end. */
export async function recordEtcd(
  url: string,
  prefix: string,
): Promise<{ end(): Promise<readonly RecordedChange[]> }> {
  const last = prefix.charCodeAt(prefix.length - 1) + 1;
  const stop = `${prefix.slice(0, -1)}${String.fromCharCode(last)}`;
  const aborting = new AbortController();
  const watch = { key: base64(prefix), range_end: base64(stop) };
  const response = await fetch(`${url}/v3/watch`, {
    method: "POST",
    body: JSON.stringify({ create_request: watch }),
    signal: aborting.signal,
  });
  const changes: RecordedChange[] = [];
  let begin = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const reading = (async () => {
    let text = "";
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        const { result } = JSON.parse(text.slice(0, end));
        text = text.slice(end + 1);
        begin();
        changes.push(...((result.events ?? []) as WatchEvent[]).map(changeOf));
      }
    }
  })();
  reading.catch(() => undefined);
  await begun;
  return {
    async end() {
      aborting.abort();
      await reading.catch(() => undefined);
      return changes;
    },
  };
}

function changeOf({ type, kv }: WatchEvent): RecordedChange {
  const isDeletion = type === "DELETE";
  return {
    type: isDeletion ? "delete" : "put",
    key: text(kv.key),
    value: isDeletion ? null : text(kv.value ?? ""),
    leased: kv.lease !== undefined && kv.lease !== "0",
  };
}

function text(encoded: string): string {
  return Buffer.from(encoded, "base64").toString();
}

function base64(plain: string): string {
  return Buffer.from(plain).toString("base64");
}
