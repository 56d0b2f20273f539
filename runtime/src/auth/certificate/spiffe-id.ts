/** A SPIFFE id, such as `spiffe://acme.example/stock`. */
export interface SpiffeId {
  readonly text: string;
  /** Such as `acme.example`. */
  readonly trustDomain: string;
}

const maxLength = 2_048;
const form = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)+)$/;
const domain = /^[a-z0-9._-]{1,255}$/;

/** Parses the SPIFFE id of a workload; undefined for any other text. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (text.length > maxLength) return undefined;
  const [, trustDomain, path] = form.exec(text) ?? [];
  if (trustDomain === undefined || path === undefined) return undefined;
  if (path.split("/").some((segment) => segment === "." || segment === "..")) return undefined;
  return { text, trustDomain };
}

/** Whether a text is the name of a trust domain. */
export function isTrustDomain(text: string): boolean {
  return domain.test(text);
}
