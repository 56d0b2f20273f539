/** The version of this package, as the first line of every generated file says it. */
export const version = "0.1.0";
