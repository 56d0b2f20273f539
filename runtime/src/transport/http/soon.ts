/** Time by which the two sides of a call may differ in when its deadline passes, in milliseconds. */
export const soonMs = 20;
