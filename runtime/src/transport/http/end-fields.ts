/** The largest error, and the largest end of a response in its body, in bytes. */
export const maxEndBytes: number = 256 * 1024;
/**
 * The most values in the JSON of an error or of the end of a stream: its code, text, and a few
 * details and headers.
 */
export const maxEndValues = 4_096;
/** The most metadata values, and the most error details, that are kept of an end. */
export const maxEndFields = 256;

/** Whether a header line may have this name. */
export function isName(name: string): boolean {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(name);
}

/** Whether a header line may have this value. */
export function isValue(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
}

/** Whether text is the base64 of bytes, as the details of an error are. */
export function isBase64(text: string): boolean {
  return /^[A-Za-z0-9+/_-]*={0,2}$/.test(text);
}
