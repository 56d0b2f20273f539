/** Waits for an event, for a limited time. */
export async function within(ms: number, event: Promise<void>): Promise<void> {
  if (ms <= 0) return;
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([event, enough]);
  clearTimeout(timer);
}
