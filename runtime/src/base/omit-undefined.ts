/** The options without those that are `undefined`, so that defaults can take their place. */
export function omitUndefined<T extends object>(
  options: {
    readonly [K in keyof T]: T[K] | undefined;
  },
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
