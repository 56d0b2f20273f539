/**
 * Characters that control a terminal or change how a line reads: C0, DEL and C1 controls (ECMA-48),
 * the line and paragraph separators, and Unicode's bidirectional controls (UAX #9), which can
 * display text in an order other than its own.
 */
const controls = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
/** As {@link controls}, without tabs and line breaks. */
const controlsInLines = /(?![\t\n])[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

const shortEscapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * Escapes each character that a terminal would act on, as JSON does: `\n`, `\u001b`. All text that
 * our programs write to a terminal or a log passes through here, so that text from elsewhere cannot
 * move the cursor, hide or reorder what is shown, or begin a line. JSON text remains the same JSON.
 * Idempotent.
 *
 * @param options.lines keeps line breaks and tabs, for text with intended lines.
 */
export function escapeControls(text: string, options: { readonly lines?: boolean } = {}): string {
  return text.replaceAll(options.lines === true ? controlsInLines : controls, escaped);
}

function escaped(character: string): string {
  const code = character.charCodeAt(0).toString(16).padStart(4, "0");
  return shortEscapes[character] ?? `\\u${code}`;
}
