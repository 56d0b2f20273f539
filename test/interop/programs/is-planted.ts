/** Whether our programs make mistakes, which the suite must find (`../planted.ts`). */
export const isPlanted: boolean = process.env.INTEROP_PLANT !== undefined;
