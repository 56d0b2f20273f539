/** How much the two sides of a call may differ on when its deadline passes, in milliseconds. */
export const deadlineSkewMs = 20;
