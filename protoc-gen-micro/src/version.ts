/** The version of this package, as in the first line of every generated file. */
export const version = "0.1.0";
