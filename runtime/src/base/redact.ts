/**
 * Whether the name of a variable, a setting or a URL parameter suggests that its value is secret.
 */
export function isSecretName(name: string): boolean {
  return /PASSWORD|PASSWD|PASSPHRASE|TOKEN|SECRET|CREDENTIAL|SEED|API_?KEY|PRIVATE_?KEY|_KEY$/i.test(
    name,
  );
}

/**
 * A scheme or a user, and everything up to the last `@` before a space or the next URL in a list.
 */
const credentials =
  /((?<![\w+.-])[a-z][\w+.-]*:(?:\/\/)?|\/\/)(?:(?!,\s*[a-z][\w+.-]*:\/\/)\S)*@/gi;
const parameter = /([?&;])([^?=&;\s]+)=([^&;\s"'`]*)/g;

/**
 * A text without the credentials of the URLs in it: `nats://user:password@host` and
 * `nats://token@host` become `nats://…@host`, and `?password=x` becomes `?password=…`. In doubt it
 * removes too much: an `@` or a `/` that should have been percent-encoded does not end a password.
 */
export function withoutCredentials(text: string): string {
  if (!text.includes("@") && !text.includes("=")) return text;
  return text
    .replace(credentials, "$1…@")
    .replace(parameter, (whole, before: string, name: string) =>
      isSecretName(decoded(name)) ? `${before}${name}=…` : whole,
    );
}

/** The value of a variable or a setting in a form that is safe to show. */
export function shownValue(name: string, value: string): string {
  return isSecretName(name) ? "…" : withoutCredentials(value);
}

/** The percent-decoded text; the text itself if a `%` in it is literal. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
