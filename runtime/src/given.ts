/** What of these options was given: `undefined` means absent, so that a default can stand there. */
export function given<T extends object>(
  options: {
    readonly [K in keyof T]: T[K] | undefined;
  },
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
